"""Columns, rules on rows, references, windows and partitions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tasks.domain.spec.limits import MUST_GIVE


class Rounding(StrEnum):
    """What becomes of digits beyond the scale of a column."""

    none = "none"
    """The row goes to quarantine; a table with `sql`, whose expression could give such a value, stops."""
    half_up = "half_up"
    """The nearest value of the scale, half away from zero: 1.005 in `decimal(18,2)` becomes 1.01."""


@dataclass
class ColumnSpec:
    """A column: typed from a source column, computed by `expr`, or looked up in another table."""

    type: str = "string"
    """A Spark SQL type."""
    rounds: Rounding = Rounding.none
    """What becomes of digits beyond the scale (`decimal`): they are refused, or rounded."""
    source: str | None = None
    """Bronze column it is typed from; its own name where nothing else is said."""
    expr: str | None = None
    """Spark SQL over the other columns of the row."""
    lookup: str | None = None
    """`lookup_name.column`: published null (or `default`) until the looked-up row arrives."""
    default: str | None = None
    """Spark SQL that stands in for a null lookup."""
    required: bool = False
    """Rows for which it is null go to quarantine, as typed or as computed by `expr`."""
    doc: str = ""
    """Meaning, shown by `lakehouse show`."""
    personal: list[str] = field(default_factory=list)
    """Kinds of personal data in it, for example `[name, contact]`."""


@dataclass
class RuleSpec:
    """A row rule: rows for which `when` holds go to quarantine."""

    when: str = MUST_GIVE
    """Spark SQL over the typed columns that holds for a bad row."""
    column: str = MUST_GIVE
    """The column that the reason names with its value."""
    says: str = MUST_GIVE
    """The rule in words, completing 'value ...'."""
    name: str | None = None
    """Name under which rows are quarantined, where several rules share one; its key otherwise."""


@dataclass
class JoinSpec:
    """Another table reached by equal columns: `by` maps own column to the other table's column."""

    table: str = MUST_GIVE
    """The other table, as `layer.table`."""
    by: dict[str, str] = field(default_factory=dict)
    """Own column: column of the other table."""


@dataclass
class WindowSpec:
    """A key counts once in each window of time; windows are counted from 1970-01-01."""

    column: str = MUST_GIVE
    """Date or timestamp of the event."""
    days: int = 1
    """Length of a window."""


@dataclass
class PartitionSpec:
    """What places a row in time, so that a backfill finds the rows of a day, a week or a month."""

    column: str = MUST_GIVE
    """Date or timestamp column of the table."""
    source: str = MUST_GIVE
    """Bronze column that it comes from; its text starts with the date, as in 2018-03-01 10:00:00."""
