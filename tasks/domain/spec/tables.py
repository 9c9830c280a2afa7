"""Silver and gold tables, and how changes are applied to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeAlias

from tasks.domain.spec.columns import ColumnSpec, JoinSpec, PartitionSpec, RuleSpec, WindowSpec
from tasks.domain.spec.limits import MUST_GIVE, QuarantineLimit, VolumeLimits, VolumeSpec
from tasks.domain.spec.sources import SourceSpec


class Strategy(StrEnum):
    """How a silver table follows its input."""

    upsert = "upsert"
    """Merged by key, row by row (SCD1)."""
    append = "append"
    """Rows that are kept as they are; a key counts once."""
    events = "events"
    """Every distinct change event of a key, the input of histories."""
    snapshot = "snapshot"
    """Every delivery is the full state."""
    scd2 = "scd2"
    """A history of spans."""


class Deletes(StrEnum):
    """What a delete event leaves."""

    soft = "soft"
    """A row with `_is_deleted` and `_deleted_at`, which no query of the domain sees."""
    hard = "hard"
    """No row; a tombstone beside the table keeps late events from bringing it back."""


class Fold(StrEnum):
    """How two values of a column become one; the order of the rows does not matter."""

    sum = "sum"
    min = "min"
    max = "max"


@dataclass
class SilverSpec:
    """A silver table."""

    description: str = ""
    """What a row is."""
    strategy: Strategy = Strategy.upsert
    """How the table follows its input."""
    source: str | None = None
    """The bronze table it is fed from row by row; none for `sql` and a history of `events`."""
    key: list[str] = field(default_factory=list)
    """Columns that identify a row; for `scd2` the natural key."""
    columns: dict[str, ColumnSpec] = field(default_factory=dict)
    """Columns in their order."""
    rules: dict[str, RuleSpec] = field(default_factory=dict)
    """Row rules by name, tried in their order."""
    references: dict[str, JoinSpec] = field(default_factory=dict)
    """Rows whose referenced row is not published wait in quarantine and are tried again."""
    lookups: dict[str, JoinSpec] = field(default_factory=dict)
    """Tables that columns are looked up in, by name."""
    reduce: str | None = None
    """SQL file over the view `rows` that folds the rows of a delivery to one row a key."""
    samples: dict[str, ColumnSpec] = field(default_factory=dict)
    """Columns of `rows`, the typed input of `reduce`; rules and references apply to them."""
    quarantine: QuarantineLimit = field(default_factory=QuarantineLimit)
    """How many rows of a batch may be kept out."""
    events: str | None = None
    """SQL file that gives the change events (`scd2` without a source)."""
    sql: str = ""
    """SQL file of a query whose result the table is, as in gold; then it has no source."""
    inputs: list[str] = field(default_factory=list)
    """Tables that the query or the events are read from."""
    groups: dict[str, str] = field(default_factory=dict)
    """Which keys a changed row of an input touches, as in gold (`sql`, `scd2` of `events`)."""
    group_by: list[str] = field(default_factory=list)
    """Columns whose values `groups` gives, as in gold; the key where empty (`sql`)."""
    fold: dict[str, Fold] = field(default_factory=dict)
    """How a column of a stored row and of new rows become one, as in gold (`sql`)."""
    full: str = ""
    """Why the table has no groups and is computed whole (`sql`)."""
    cluster_by: list[str] = field(default_factory=list)
    """Columns that the rows of each commit are sorted by, over files of bounded size: a query for some of
    their values reads few files (`append`, `events`)."""
    sequence_by: list[str] = field(default_factory=list)
    """Order of the events of a key by the types of the columns, most significant first; the order of
    delivery where empty. Of equal sequences a delete wins, then the greater values. For `scd2` the first is
    the instant of a change, for `snapshot` the one column is the place of the snapshot."""
    delete_when: str | None = None
    """Spark SQL over the typed columns that holds for a delete event."""
    deletes: Deletes = Deletes.soft
    """What a delete event leaves (`upsert`, `snapshot`)."""
    delete_missing: bool = False
    """A key that the newest snapshot lacks is deleted (`snapshot`)."""
    missing_share: float = 0.2
    """The gate blocks a snapshot that deletes a larger share of the table's rows, 0 to 1."""
    ignore_null_updates: bool = False
    """A null is not a value: each column keeps the last value that was given (`upsert`)."""
    window: WindowSpec | None = None
    """A key counts once in each such window, for ever where none is given (`append`)."""
    first_wins: bool = False
    """Of the rows of a key the one that was delivered first counts, not the greatest (`append`)."""
    track: list[str] = field(default_factory=list)
    """Columns whose change starts a new span (`scd2`)."""
    partition: PartitionSpec | None = None
    """What places a row in time; without it a backfill takes the table whole."""
    anomalies: VolumeLimits | None = None
    """Own control limits of row counts, in place of the domain's."""
    owner: str = ""
    """Who answers for it; the domain's owner where empty."""
    freshness: str = ""
    """How old the newest delivery in it may be, for example `26 hours`."""

    is_delivered: ClassVar[bool] = False
    volume: ClassVar[VolumeSpec | None] = None

    @property
    def row_columns(self) -> dict[str, ColumnSpec]:
        """Columns of a typed input row, before any folding."""
        return self.samples if self.reduce else self.columns

    @property
    def is_derived(self) -> bool:
        """Whether the table is a query, or computed from the events of its keys, not merged row by row."""
        return bool(self.sql) or self.is_history or self.ignore_null_updates

    @property
    def has_query(self) -> bool:
        """Whether a query makes its rows, of other tables or of the rows of a delivery."""
        return self.is_derived or self.reduce is not None

    @property
    def is_history(self) -> bool:
        """Whether a row is a span of time in which a key had one state (SCD2)."""
        return self.strategy is Strategy.scd2

    @property
    def keeps_events(self) -> bool:
        """Whether the table holds every distinct event of a key, not what came of them."""
        return self.strategy is Strategy.events

    @property
    def ordered_by_delivery(self) -> bool:
        """Whether the event that was delivered last counts: nothing in the rows orders them."""
        return not self.sequence_by and self.strategy is not Strategy.append

    @property
    def deletes_missing(self) -> bool:
        """Whether a delivery deletes what it lacks; otherwise it is a batch of upserts."""
        return self.strategy is Strategy.snapshot and self.delete_missing

    @property
    def keeps_tombstones(self) -> bool:
        """Whether the table remembers deletes beside it."""
        return self.delete_when is not None and self.deletes is Deletes.hard and not self.is_derived

    @property
    def marks_deleted(self) -> bool:
        """Whether rows carry `_is_deleted`."""
        if self.keeps_events:
            return self.delete_when is not None
        deletes = self.delete_when is not None or self.delete_missing
        return deletes and self.deletes is Deletes.soft and not self.is_history

    @property
    def hides_deleted(self) -> bool:
        """Whether queries of the domain see the table without its deleted rows."""
        return self.marks_deleted and not self.keeps_events


@dataclass
class GoldSpec:
    """A gold table: the result of one query, published by key."""

    is_delivered: ClassVar[bool] = False
    is_derived: ClassVar[bool] = True
    has_query: ClassVar[bool] = True
    hides_deleted: ClassVar[bool] = False

    description: str = ""
    """What a row is and which rows there are."""
    key: list[str] = field(default_factory=list)
    """The grain: columns that identify a row; null is a value."""
    inputs: list[str] = field(default_factory=list)
    """Tables that the query reads, as `layer.table`."""
    sql: str = MUST_GIVE
    """SQL file of the query."""
    columns: dict[str, ColumnSpec] = field(default_factory=dict)
    """Columns of the query's result in their order."""
    groups: dict[str, str] = field(default_factory=dict)
    """Which keys a changed row touches, by input: Spark SQL that gives the key columns, a select list over
    the view `changes` (the row before and after its change), or a whole `select` that reads it."""
    group_by: list[str] = field(default_factory=list)
    """Columns whose values `groups` gives, where rows of several keys are computed together; the key where
    empty."""
    fold: dict[str, Fold] = field(default_factory=dict)
    """How a column of a stored row and of new rows become one (`sum`, `min`, `max`). Then a group that only
    gained rows is not computed from all its rows."""
    full: str = ""
    """Why the table has no such groups and is computed whole, for example a rank over all rows."""
    volume: VolumeSpec | None = None
    """What must arrive from the inputs."""
    anomalies: VolumeLimits | None = None
    """Own control limits of row counts, in place of the domain's."""
    owner: str = ""
    """Who answers for it; the domain's owner where empty."""
    freshness: str = ""
    """How old the newest delivery in it may be, for example `26 hours`."""


TableSpec: TypeAlias = SourceSpec | SilverSpec | GoldSpec
"""What a domain declares of a table. Each says of it:

- `is_delivered`: its rows are kept as a source delivered them, whatever the domain declares;
- `is_derived`, `has_query`: see `SilverSpec`;
- `hides_deleted`: queries of the domain see it without its deleted rows;
- `volume`: what must arrive from its inputs.
"""


def is_query(groups: str) -> bool:
    """Whether the text of `groups` is a whole query instead of a select list."""
    return groups.lstrip().lower().startswith(("select", "with"))


def sql_files(table: TableSpec) -> list[str]:
    """The SQL files that a table names, below the domain's root."""
    named = (getattr(table, kind, None) for kind in ("reduce", "events", "sql"))
    return [path for path in named if path]
