"""Which groups of a derived table a change of its inputs touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, DoubleType, TimestampType

from storage.errors import ConfigurationError
from storage.sql import quote
from storage.types import Version
from tasks.context import Context, has_changed
from tasks.domain.spec import SilverSpec, is_query
from tasks.domain.sql_text import to_views
from tasks.records import changes
from tasks.rows.partitions import Partition

FEW = 200
"""Up to this many keys are written into the query, so that scans can skip whole files; more are joined."""
MOST = 20_000
"""Up to so many keys the ranges that they fall in are written into the query, for the same reason."""
RANGES = 16
DATED = (DateType, TimestampType)


def touched(
    context: Context,
    declared: Mapping[str, str],
    keys: Sequence[str],
    before: Mapping[str, str],
    after: Mapping[str, str],
) -> DataFrame | None:
    """The keys whose rows may differ from what was computed at the versions `before`.

    A null in a key is a value like any other.

    Args:
        context: The context; the inputs are registered as views at `after`.
        declared: How a changed row maps to keys, by input.
        keys: Columns that identify what is computed at once.
        before: Version of each input that was consumed.
        after: Version of each input to consume.

    Returns:
        These columns, distinct; None where all keys are to be computed.

    Raises:
        ConfigurationError: The mapping gives other columns than the key.
    """
    if not declared:
        return None
    parts: list[DataFrame] = []
    for label, version in after.items():
        ref, mapping = context.domain.ref(label), declared.get(label, "")
        if label in before and not has_changed(context, ref, before[label]):
            continue
        rows = changes.since(context, ref, before.get(label), version)
        if rows is None or not mapping:
            return None
        parts.append(mapped(context, label, mapping, rows, keys))
    return distinct(parts) if parts else None


def distinct(parts: Sequence[DataFrame]) -> DataFrame:
    """The touched keys of several inputs, each once.

    Args:
        parts: Keys that the changed rows of each input map to, at least one.
    """
    return reduce(DataFrame.unionByName, parts).distinct()


def within(
    context: Context,
    declared: Mapping[str, str],
    keys: Sequence[str],
    partition: Partition,
    versions: Mapping[str, str],
) -> list[DataFrame]:
    """The keys that the rows of a partition of each input map to, for the inputs that have partitions.

    Args:
        context: The context; the inputs are registered as views at `versions`.
        declared: How a row maps to keys, by input.
        keys: Columns that identify what is computed at once.
        partition: The span of time.
        versions: Version of each input.
    """
    parts = []
    for label, version in versions.items():
        ref = context.domain.ref(label)
        spec = context.domain.spec(ref)
        if isinstance(spec, SilverSpec) and spec.partition and declared.get(label):
            column = spec.partition.column
            inside = partition.typed(quote(column), spec.columns[column].type)
            rows = context.store.read(ref, Version(version)).where(inside)
            parts.append(mapped(context, label, declared[label], rows, keys))
    return parts


def mapped(
    context: Context, label: str, mapping: str, rows: DataFrame, keys: Sequence[str]
) -> DataFrame:
    """The keys that rows of an input map to.

    Raises:
        ConfigurationError: The mapping gives other columns than the key.
    """
    rows.createOrReplaceTempView("changes")
    text = mapping if is_query(mapping) else f"select {mapping} from changes"
    found = context.store.query(to_views(text))
    if len(found.columns) != len(keys):
        raise ConfigurationError(
            f"groups of {label}: {mapping!r} gives {', '.join(found.columns)}, "
            f"but the key is {', '.join(keys)}",
            advice="Give one expression for each key column, in the order of the key.",
        )
    return found.toDF(*keys)


def restricted(rows: DataFrame, touched_keys: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The rows of the touched keys; the filter reaches down to the scans of the inputs.

    A null in a key is a value of its own.
    """
    kinds = [field.dataType for field in touched_keys.schema.fields]
    few = touched_keys.limit(MOST + 1).select(*map(_sent, touched_keys.columns, kinds)).collect()
    for place, key in enumerate(keys):
        values = {row[place] for row in few}
        if isinstance(kinds[place], DoubleType) or len(few) > MOST:  # NaN has no place in an order
            continue
        column = F.col(quote(key))
        given = [_literal(value, kinds[place]) for value in sorted(values - {None})]
        near = _near(column, given)
        rows = rows.where(near | column.isNull() if None in values else near)
        if len(keys) == 1 and len(values) <= FEW:
            return rows  # the condition is exact
    theirs = touched_keys.toDF(*[f"_touched_{place}" for place in range(len(keys))])
    same = [rows[quote(k)].eqNullSafe(F.col(f"_touched_{place}")) for place, k in enumerate(keys)]
    return rows.join(F.broadcast(theirs), reduce(Column.__and__, same), "left_semi")


def _sent(name: str, kind: DataType) -> Column:
    """A key as it goes through Python: dates and instants as text, since not each has a value there."""
    column = F.col(quote(name))
    return column.cast("string") if isinstance(kind, DATED) else column


def _literal(value: Any, kind: DataType) -> Column:
    return F.lit(value).cast(kind) if isinstance(kind, DATED) else F.lit(value)


def _near(column: Column, values: Sequence[Column]) -> Column:
    """Whether a value is one of a few, or falls in one of the ranges that many of them span."""
    if len(values) <= FEW:
        return column.isin(*values)
    step = -(-len(values) // RANGES)
    runs = [values[start : start + step] for start in range(0, len(values), step)]
    return reduce(Column.__or__, [column.between(run[0], run[-1]) for run in runs])
