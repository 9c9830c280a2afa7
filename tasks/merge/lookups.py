"""Columns that a silver table looks up in other tables, and rows whose looked-up row changed since."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.sql import quote
from storage.types import Version
from tasks.context import Context, has_changed
from tasks.domain.schemas import merge_key
from tasks.domain.spec import JoinSpec, SilverSpec
from tasks.records import changes


def looked_up(
    context: Context, rows: DataFrame, spec: SilverSpec, versions: Mapping[str, str]
) -> DataFrame:
    """The rows with their looked-up columns, null or the default where there is no such row yet.

    Args:
        context: The context.
        rows: Rows with the columns that the lookups join by.
        spec: The table.
        versions: Version of each other table to look in, by `layer.table`.
    """
    for name, join in spec.lookups.items():
        wanted = {
            column: c.lookup.split(".", 1)[1]
            for column, c in spec.columns.items()
            if c.lookup is not None and c.lookup.split(".", 1)[0] == name
        }
        version = Version(versions[join.table])
        other = context.store.read(context.domain.ref(join.table), version).select(
            *[F.col(quote(theirs)).alias(f"_by_{own}") for own, theirs in join.by.items()],
            *[F.col(quote(theirs)).alias(column) for column, theirs in wanted.items()],
        )
        pairs = [F.col(quote(own)) == F.col(f"_by_{own}") for own in join.by]
        rows = rows.join(other, reduce(lambda a, b: a & b, pairs), "left")
        rows = rows.drop(*[f"_by_{own}" for own in join.by])
    for name, column in spec.columns.items():
        if column.lookup is not None and column.default is not None:
            rows = rows.withColumn(name, F.coalesce(F.col(quote(name)), F.expr(column.default)))
    return rows


def stale(
    context: Context,
    target: DataFrame,
    spec: SilverSpec,
    before: Mapping[str, str],
    after: Mapping[str, str],
) -> DataFrame | None:
    """Rows of the table whose looked-up row changed between two versions; None where none did."""
    parts = [
        target.join(keys, list(join.by), "left_semi")
        for join in spec.lookups.values()
        if (keys := _changed_keys(context, join, before.get(join.table), after[join.table]))
        is not None
    ]
    if not parts:
        return None
    return reduce(DataFrame.unionByName, parts).dropDuplicates(merge_key(spec))


def _changed_keys(
    context: Context, join: JoinSpec, before: str | None, after: str
) -> DataFrame | None:
    table = context.domain.ref(join.table)
    if before is None or not has_changed(context, table, before):
        return None
    rows = changes.since(context, table, before, after)
    if rows is None:
        rows = context.store.read(table, Version(after))
    own = [F.col(quote(theirs)).alias(own) for own, theirs in join.by.items()]
    return rows.select(*own).distinct()
