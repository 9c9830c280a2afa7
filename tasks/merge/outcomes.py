"""What the merge will do with each row: the winners of their keys, compared with the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from storage.plans import BEFORE, MergePlan
from storage.sql import quote
from storage.types import TableRef
from tasks.context import (
    Context,
)
from tasks.domain.schemas import (
    DELETED,
    EVENT_ID,
    WINDOW,
    merge_key,
    silver_schema,
)
from tasks.domain.spec import SilverSpec
from tasks.merge import snapshots, tombstones
from tasks.merge.intake import Intake
from tasks.merge.lookups import looked_up, stale
from tasks.records.accounting import RowOutcome
from tasks.rows import ordering, reducing

BROADCAST_ROWS = 200_000
"""Up to this many rows are broadcast, so that a large table is scanned once and not sorted."""


def plan(spec: SilverSpec) -> MergePlan:
    """How staged rows are merged."""
    made = ordering.plan(spec)
    return snapshots.only_differences(spec, made) if spec.deletes_missing else made


def candidates(
    context: Context, ref: TableRef, good: DataFrame, kept: Sequence[str] = ()
) -> DataFrame:
    """The winning row of each merge key, or what `reduce` makes of its rows; `kept` names further columns."""
    spec = context.domain.silver[ref.name]
    if spec.reduce:
        good.drop("_rank").createOrReplaceTempView(reducing.ROWS)
        made = reducing.reduced(context.store.query, context.domain, ref)
        winners, added = made.withColumn(DELETED, F.lit(False)), []
    else:
        winners = good.where("_rank = 1")
        added = [n for n in (EVENT_ID, WINDOW) if n in winners.columns]
    columns = [n for n, c in spec.columns.items() if c.lookup is None]
    return winners.select(
        *map(quote, columns), *added, *kept, DELETED, "_sequence", "_batch_id",
        F.lit(False).alias(snapshots.MISSING), F.lit(False).alias(snapshots.DROPPED),
    )  # fmt: skip


def with_outcomes(
    context: Context,
    ref: TableRef,
    spec: SilverSpec,
    rows: DataFrame,
    target: DataFrame | None,
    intake: Intake,
    token: str,
    *,
    few: bool,
) -> DataFrame:
    """The candidates as the merge writes them, each with its `_outcome`.

    With `few` rows the table's rows of their keys are looked for beforehand.
    """
    rows = rows.withColumn("_refreshed", F.lit(False))
    if target is not None:
        outdated = stale(context, target, spec, intake.before, intake.after)
        if outdated is not None:
            rows = rows.unionByName(_refreshable(outdated, rows))
    rows = completed(context, spec, rows, intake.after, token)
    late = F.col(snapshots.DROPPED)
    if spec.keeps_tombstones:
        rows = tombstones.with_tombstones(context, ref, spec, rows, intake.pending)
        late = late | F.expr(tombstones.outdated(spec))
    if target is not None and few and not (spec.lookups or spec.deletes_missing):
        keys = rows.select(*map(quote, merge_key(spec)))
        target = target.join(F.broadcast(keys), merge_key(spec), "left_semi")
    marked = _marked(spec, rows, target)
    written = F.col("_written")
    if spec.keeps_tombstones:
        unseen = F.col(DELETED) & F.col(BEFORE).isNull() & ~F.expr(tombstones.repeated(spec))
        written = written | unseen
    outcome = (
        F.when(late | ~written, RowOutcome.unchanged.value)
        .when(F.col("_refreshed"), RowOutcome.refreshed.value)
        .when(F.col(snapshots.MISSING), RowOutcome.removed.value)
        .otherwise(RowOutcome.published.value)
    )
    kept = [quote(c) for c in dict.fromkeys([*plan(spec).columns, DELETED])]
    marked = marked.select(*kept, BEFORE, "_refreshed", outcome.alias("_outcome"))
    changed = (F.col("_outcome") != RowOutcome.unchanged.value) & ~F.col("_refreshed")
    if target is not None and spec.lookups:  # a replaced row is not looked up again
        replaced = F.max(changed).over(Window.partitionBy(*map(quote, merge_key(spec))))
        marked = marked.withColumn("_replaced", replaced)
        marked = marked.where("not (_refreshed and _replaced)").drop("_replaced")
    return marked.where("_outcome <> 'unchanged' or not _refreshed").drop("_refreshed")


def completed(
    context: Context, spec: SilverSpec, rows: DataFrame, versions: Mapping[str, str], token: str
) -> DataFrame:
    """The candidates with looked-up columns and metadata: what the merge writes."""
    rows = looked_up(context, rows, spec, versions)
    rows = rows.withColumn("_merge_id", F.lit(token)).withColumn(
        "_updated_at", F.lit(context.run.started_at).cast("timestamp")
    )
    if not spec.hides_deleted:
        return rows
    return rows.withColumn("_deleted_at", F.when(F.col(DELETED), _deleted_at(context, spec)))


def _marked(spec: SilverSpec, rows: DataFrame, target: DataFrame | None) -> DataFrame:
    if target is not None:
        return plan(spec).marked(target, rows)
    inserted = F.coalesce(F.expr(plan(spec).insert_when), F.lit(False))
    nothing = F.lit(None).cast(silver_schema(spec))
    return rows.alias("s").withColumn("_written", inserted).withColumn(BEFORE, nothing)


def _refreshable(rows: DataFrame, like: DataFrame) -> DataFrame:
    """Rows of the table as candidates of which only the looked-up columns are refreshed."""
    for name in (DELETED, snapshots.MISSING, snapshots.DROPPED):
        if name not in rows.columns:
            rows = rows.withColumn(name, F.lit(False))
    rows = rows.withColumn("_refreshed", F.lit(True))
    return rows.select(*map(quote, like.columns))


def _deleted_at(context: Context, spec: SilverSpec) -> Column:
    """The instant of the delete event where its sequence is one, else that of the run."""
    instant = spec.sequence_by[0] if spec.sequence_by else ""
    if instant and spec.columns[instant].type in ("timestamp", "date"):
        return F.col(quote(instant)).cast("timestamp")
    return F.lit(context.run.started_at).cast("timestamp")


def ranked(rows: DataFrame, spec: SilverSpec) -> DataFrame:
    """Add `_rank`: 1 for the winning row of each merge key, where good rows come before bad ones."""
    order = ["_sequence"] if spec.reduce else ordering.event_order(spec)
    latest = Window.partitionBy(*[quote(k) for k in merge_key(spec)]).orderBy(
        F.col("_rule").isNull().desc(), *ordering.winning(spec, order)
    )
    return rows.withColumn("_rank", F.row_number().over(latest))
