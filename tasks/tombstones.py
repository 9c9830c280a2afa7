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
from tasks import changes
from tasks.bench import Bench, Staged
from tasks.decisions import rejected
from tasks.heads import expected
from tasks.ordering import DELETED, last, sequence
from tasks.spec import Deletes, SilverSpec

METADATA = (("_batch_id", "string"), ("_merge_id", "string"), ("_updated_at", "timestamp"))
BURIED = "_buried"
"""Sequence of the key's tombstone, a struct; null where it has none."""


def kept_for(spec: SilverSpec) -> bool:
    """Whether the table remembers deletes beside it."""
    return spec.delete_when is not None and spec.deletes is Deletes.hard and not spec.is_derived


def table(ref: TableRef) -> TableRef:
    """The tombstones of a silver table: `<table>__tombstones` beside it."""
    return TableRef(ref.domain, ref.layer, f"{ref.name}__tombstones")


def tombstone_schema(spec: SilverSpec) -> StructType:
    """Merge key and sequence of the delete, then the metadata."""
    types = {name: column.type for name, column in spec.columns.items()} | {"_sequence": "bigint"}
    return schema([*((c, types[c]) for c in _columns(spec)), *METADATA])


def with_tombstones(
    bench: Bench, ref: TableRef, spec: SilverSpec, rows: DataFrame, pending: Sequence[str]
) -> DataFrame:
    """The rows with `_buried`; a change at or before its key's tombstone, and an older delete, is dropped.

    Args:
        bench: The bench.
        ref: The table.
        spec: Its declaration.
        rows: One candidate a key.
        pending: Batches of the attempt: what is there of them was left by one that was cut off.
    """
    graves = table(ref)
    if bench.run.rebuild or not bench.store.stats(graves).rows:
        return rows.withColumn(
            BURIED, F.lit(None).cast(rows.select(last(sequence(spec))).schema[0].dataType)
        )
    out = [*pending, *rejected(bench.store, bench.domain.name)]
    known = bench.store.read(graves).where(~F.col("_batch_id").isin(out))
    known = known.groupBy(*map(quote, spec.key)).agg(F.max(last(sequence(spec))).alias(BURIED))
    return rows.join(known, spec.key, "left")


def outdated(spec: SilverSpec) -> str:
    """Condition under which a row of `with_tombstones` comes too late to matter."""
    own = f"struct({', '.join(quote(c) for c in sequence(spec))})"
    return f"{BURIED} is not null and ({own} < {BURIED} or ({own} = {BURIED} and not {DELETED}))"


def repeated(spec: SilverSpec) -> str:
    """Condition under which a delete of `with_tombstones` is known already."""
    own = f"struct({', '.join(quote(c) for c in sequence(spec))})"
    return f"coalesce({BURIED} >= {own}, false)"


def enter(bench: Bench, staged: Staged, spec: SilverSpec) -> None:
    """Commit the deletes of an attempt; a repeat adds none."""
    if not kept_for(spec):
        return
    ref, record = table(staged.table), bench.step_record(staged, "tombstones")
    checked = expected(bench, staged, ref)
    if not staged.rows.get("tombstones"):
        wanted = tombstone_schema(spec)
        if staged.replace and (
            bench.store.stats(ref).rows or not same_columns(bench.store.columns(ref), wanted)
        ):
            none = bench.store.session.createDataFrame([], wanted)
            bench.store.replace(ref, none, record, expected=checked)
        return
    columns = [*_columns(spec), *(name for name, _ in METADATA)]
    rows = changes.rows_of(bench, staged).where(DELETED).select(*map(quote, columns))
    if staged.replace:
        bench.store.replace(ref, rows, record, expected=checked)
    else:
        plan = upsert_plan(_columns(spec), columns, [])
        bench.store.merge(ref, rows, plan, record, expected=checked)


def _columns(spec: SilverSpec) -> list[str]:
    return list(dict.fromkeys([*spec.key, *sequence(spec)]))
