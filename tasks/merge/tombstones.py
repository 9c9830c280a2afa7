"""Deletes that leave no row, remembered beside their table.

A tombstone keeps a late event that is older than the delete from bringing the row back. Tombstones are
written before the commit of their table: those of a commit that was never made belong to batches that the
next run reads again, or that were rejected meanwhile. Neither count.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.plans import upsert_plan
from storage.schemas import same_columns, schema
from storage.sql import quote
from storage.types import TableRef
from tasks.context import Attempt, Context
from tasks.domain.schemas import DELETED, tombstones_of
from tasks.domain.spec import SilverSpec
from tasks.records import changes
from tasks.records.decisions import rejected
from tasks.records.heads import expected
from tasks.rows.ordering import sequence, sort_key

METADATA = (("_batch_id", "string"), ("_merge_id", "string"), ("_updated_at", "timestamp"))
TOMBSTONE = "_tombstone"
"""Sequence of the key's tombstone, a struct; null where it has none."""


def tombstone_schema(spec: SilverSpec) -> StructType:
    """Merge key and sequence of the delete, then the metadata."""
    types = {name: column.type for name, column in spec.columns.items()} | {"_sequence": "bigint"}
    return schema([*((c, types[c]) for c in _columns(spec)), *METADATA])


def with_tombstones(
    context: Context, ref: TableRef, spec: SilverSpec, rows: DataFrame, pending: Sequence[str]
) -> DataFrame:
    """The rows with `_tombstone`, the sequence of their key's last delete; `outdated` says which are late.

    Args:
        context: The context.
        ref: The table.
        spec: Its declaration.
        rows: One candidate a key.
        pending: Batches of the attempt: what is there of them was left by one that was cut off.
    """
    beside = tombstones_of(ref)
    if context.run.rebuild or not context.store.stats(beside).rows:
        return rows.withColumn(
            TOMBSTONE, F.lit(None).cast(rows.select(sort_key(sequence(spec))).schema[0].dataType)
        )
    out = [*pending, *rejected(context.store, context.domain.name)]
    known = context.store.read(beside).where(~F.col("_batch_id").isin(out))
    known = known.groupBy(*map(quote, spec.key)).agg(
        F.max(sort_key(sequence(spec))).alias(TOMBSTONE)
    )
    return rows.join(known, spec.key, "left")


def outdated(spec: SilverSpec) -> str:
    """Condition under which a row of `with_tombstones` comes too late to matter."""
    own = f"struct({', '.join(quote(c) for c in sequence(spec))})"
    return f"{TOMBSTONE} is not null and ({own} < {TOMBSTONE} or ({own} = {TOMBSTONE} and not {DELETED}))"


def repeated(spec: SilverSpec) -> str:
    """Condition under which a delete of `with_tombstones` is known already."""
    own = f"struct({', '.join(quote(c) for c in sequence(spec))})"
    return f"coalesce({TOMBSTONE} >= {own}, false)"


def enter(context: Context, attempt: Attempt, spec: SilverSpec) -> None:
    """Commit the deletes of an attempt; a repeat adds none."""
    if not spec.keeps_tombstones:
        return
    ref, record = tombstones_of(attempt.table), context.step_record(attempt, "tombstones")
    store, checked = context.store, expected(context, attempt, ref)
    stale = store.stats(ref).rows or not same_columns(store.columns(ref), tombstone_schema(spec))
    if not (attempt.rows.get("tombstones") or (attempt.replace and stale)):
        return
    columns = [*_columns(spec), *(name for name, _ in METADATA)]
    rows = changes.rows_of(context, attempt).where(DELETED).select(*map(quote, columns))
    if attempt.replace:
        store.replace(ref, rows, record, expected=checked)
    else:
        plan = upsert_plan(_columns(spec), columns, [])
        store.merge(ref, rows, plan, record, expected=checked)


def _columns(spec: SilverSpec) -> list[str]:
    return list(dict.fromkeys([*spec.key, *sequence(spec)]))
