"""Which groups of a derived table a change of its inputs touches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.errors import ConfigurationError
from storage.sql import quote
from storage.types import Version
from tasks import changes
from tasks.bench import Bench, moved
from tasks.partitions import Partition
from tasks.spec import is_query
from tasks.sql_text import to_views

FEW = 200
"""So many keys are written into the query, where they can spare whole files; more are joined."""


def touched(
    bench: Bench,
    declared: Mapping[str, str],
    keys: Sequence[str],
    before: Mapping[str, str],
    after: Mapping[str, str],
) -> DataFrame | None:
    """The keys whose rows may differ from what was computed at the versions `before`.

    Args:
        bench: The bench; the inputs are registered as views at `after`.
        declared: How a changed row maps to keys, by input.
        keys: Key columns of the derived table.
        before: Version of each input that was consumed.
        after: Version of each input to consume.

    Returns:
        The key columns, distinct and without nulls; None where all keys are to be computed.

    Raises:
        ConfigurationError: The mapping gives other columns than the key.
    """
    if not declared:
        return None
    parts: list[DataFrame] = []
    for label, version in after.items():
        ref, mapping = bench.domain.ref(label), declared.get(label, "")
        if label in before and not moved(bench, ref, before[label]):
            continue
        rows = changes.since(bench, ref, before.get(label), version)
        if rows is None or not mapping:
            return None
        parts.append(_mapped(bench, label, mapping, rows, keys))
    if not parts:
        return None
    return reduce(DataFrame.unionByName, parts).dropna().distinct()


def within(
    bench: Bench,
    declared: Mapping[str, str],
    keys: Sequence[str],
    partition: Partition,
    versions: Mapping[str, str],
) -> list[DataFrame]:
    """The keys that the rows of a partition of each input map to, for the inputs that have partitions.

    Args:
        bench: The bench; the inputs are registered as views at `versions`.
        declared: How a row maps to keys, by input.
        keys: Key columns of the derived table.
        partition: The span of time.
        versions: Version of each input.
    """
    parts = []
    for label, version in versions.items():
        ref = bench.domain.ref(label)
        spec = bench.domain.silver[ref.name] if ref.layer == "silver" else None
        if spec is not None and spec.partition is not None and declared.get(label):
            column = spec.partition.column
            inside = partition.typed(quote(column), spec.columns[column].type)
            rows = bench.store.read(ref, Version(version)).where(inside)
            parts.append(_mapped(bench, label, declared[label], rows, keys))
    return parts


def _mapped(
    bench: Bench, label: str, mapping: str, rows: DataFrame, keys: Sequence[str]
) -> DataFrame:
    rows.createOrReplaceTempView("changes")
    text = mapping if is_query(mapping) else f"select {mapping} from changes"
    found = bench.store.session.sql(to_views(text))
    if len(found.columns) != len(keys):
        raise ConfigurationError(
            f"groups of {label}: {mapping!r} gives {', '.join(found.columns)}, "
            f"but the key is {', '.join(keys)}",
            advice="Give one expression for each key column, in the order of the key.",
        )
    return found.toDF(*keys)


def restricted(rows: DataFrame, touched_keys: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The rows of the touched keys; the filter reaches down to the scans of the inputs."""
    few = touched_keys.limit(FEW + 1).collect() if len(keys) == 1 else []
    if few and len(few) <= FEW:
        return rows.where(F.col(quote(keys[0])).isin([row[0] for row in few]))
    return rows.join(F.broadcast(touched_keys), list(keys), "left_semi")
