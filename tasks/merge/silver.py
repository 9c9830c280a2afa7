"""Silver tables fed row by row: typed, judged, deduplicated, looked up, merged by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.dataset as ds
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from storage.plans import BEFORE, MergePlan
from storage.sql import quote
from storage.types import TableRef, Version
from tasks.context import (
    Attempt,
    Batch,
    Context,
    attempt_id,
    fingerprint,
    has_changed,
    source_versions,
)
from tasks.domain.schemas import (
    DELETED,
    EVENT_ID,
    WINDOW,
    merge_key,
    quarantine_of,
    silver_schema,
    tombstones_of,
)
from tasks.domain.spec import SilverSpec, Strategy, dependencies
from tasks.merge import quarantine, snapshots, tombstones
from tasks.merge.judging import judge
from tasks.merge.lookups import looked_up, stale
from tasks.records import accounting, changes, releases
from tasks.records.accounting import RowOutcome
from tasks.records.contracts import contract_of
from tasks.records.decisions import Decision, is_accepted, resolutions
from tasks.records.heads import heads
from tasks.records.ledger import arrived
from tasks.rows import ordering, reducing
from tasks.rows.declared import with_declared_columns
from tasks.rows.frames import HELD_RULE, judged, typed

BROADCAST_ROWS = 200_000
"""Up to this many rows are broadcast, so that a large table is scanned once and not sorted."""


def plan(spec: SilverSpec) -> MergePlan:
    """How staged rows are merged."""
    made = ordering.plan(spec)
    return snapshots.only_differences(spec, made) if snapshots.applies(spec) else made


@dataclass(frozen=True)
class Intake:
    """What an attempt reads: source versions before and after, the batches and the requests between them.

    Attributes:
        asks: Whether a person asks for rows in quarantine.
        decisions: What persons have decided that bears on its rows, by batch.
    """

    before: Mapping[str, str]
    after: Mapping[str, str]
    batches: tuple[Batch, ...]
    rejected: tuple[Batch, ...]
    asks: bool = False
    decisions: Mapping[str, str] = field(default_factory=dict)

    @property
    def pending(self) -> list[str]:
        """Batches that bronze recorded between the positions."""
        return [b.batch_id for b in (*self.batches, *self.rejected)]

    @property
    def rejected_ids(self) -> list[str]:
        """Batches whose rows are passed over."""
        return [b.batch_id for b in self.rejected]


def stage(context: Context, ref: TableRef) -> Attempt | None:
    """Write the rows to publish, to quarantine and to release; None when nothing is new."""
    spec = context.domain.silver[ref.name]
    quarantine.finish_release(context, ref)
    found = heads(context, *written(context, ref))
    intake = _intake(context, ref)
    if intake is None:
        return None
    contract = contract_of(context, ref)
    rebuilding = [context.run.run_id] if context.run.rebuild else []
    token = fingerprint(
        ref.label, intake.before, intake.after, contract, rebuilding, intake.decisions
    )
    attempt = Attempt(
        table=ref,
        token=token,
        folder=str(context.folder(ref, token)),
        inputs=intake.after,
        contract=contract,
        replace=context.run.rebuild,
        heads=found,
    )
    attempt.clear()
    rows = ranked(_judged_rows(context, ref, spec, intake), spec).cache()
    try:
        counts = accounting.count(rows)
        _write_quarantine(context, ref, rows, intake, attempt, any_bad=any(g.rule for g in counts))
        few = counts.total() <= BROADCAST_ROWS
        place = _write_effective(context, ref, spec, rows, intake, attempt, few=few)
    finally:
        rows.unpersist()
    outcomes = accounting.row_outcomes(attempt)
    accounts = accounting.by_batch(spec, intake.batches, intake.rejected, counts, outcomes)
    attempt = replace(
        attempt,
        batches=accounting.with_bad_rows(intake.batches, counts),
        rows=accounting.in_all(spec, accounts, counts, outcomes) | _tombstones(spec, attempt),
        notes={
            "rejected": intake.rejected_ids,
            "releases": attempt.count("released"),
            "changes": _target(context, ref) is not None,
            accounting.ACCOUNTS: accounts,
            accounting.REBUILT: context.run.rebuild,
            **place,
            **_resolvable_notes(context, ref, intake, contract),
        },
    )
    attempt.save()
    return attempt


def written(context: Context, ref: TableRef) -> list[TableRef]:
    """The tables that a publication of the table writes to: itself, and those beside it."""
    beside = [quarantine_of(ref)]
    beside += [tombstones_of(ref)] if tombstones.kept_for(context.domain.silver[ref.name]) else []
    return [ref, *beside]


def _tombstones(spec: SilverSpec, attempt: Attempt) -> dict[str, int]:
    if not tombstones.kept_for(spec):
        return {}
    published = ds.field("_outcome") == RowOutcome.published.value
    return {"tombstones": attempt.count("rows", ds.field(DELETED) & published)}


def _write_quarantine(
    context: Context,
    ref: TableRef,
    rows: DataFrame,
    intake: Intake,
    attempt: Attempt,
    *,
    any_bad: bool,
) -> None:
    """Stage the rows that enter the quarantine, or are there for another rule now, and those that leave."""
    if any_bad:
        write(quarantine.entering(rows), Path(attempt.part("quarantine")))
    if quarantine.holds(context, ref):
        kept = quarantine.reconsidered(context, ref, intake.pending, _asked(context, ref, intake))
        write(quarantine.leaving(kept, rows), Path(attempt.part("released")))


def _asked(context: Context, ref: TableRef, intake: Intake) -> DataFrame | None:
    if not intake.asks:
        return None
    label = releases.LABEL
    return releases.sequences(context, ref, intake.before.get(label), intake.after.get(label))


def _resolvable_notes(
    context: Context, ref: TableRef, intake: Intake, contract: str
) -> dict[str, object]:
    """Id and acceptance of an attempt without deliveries: looked-up rows or released ones only."""
    if intake.batches:
        return {}
    batch_id = attempt_id(ref, intake.after, contract)
    accepted = is_accepted(context.store, context.domain.name, batch_id)
    return {"batch_id": batch_id, "accepted": accepted}


def staged_rows(context: Context, attempt: Attempt) -> DataFrame:
    """The staged rows that the merge writes, with the flags that its conditions ask for."""
    columns = plan(context.domain.silver[attempt.table.name]).source_columns
    rows = changes.rows_of(context, attempt)
    return rows.where(F.col("_outcome") != RowOutcome.unchanged.value).select(*map(quote, columns))


def _intake(context: Context, ref: TableRef) -> Intake | None:
    spec = context.domain.silver[ref.name]
    assert spec.source is not None  # noqa: S101 - validated with the domain
    before = source_versions(context, ref)
    labels = dependencies(context.domain)[ref.label]
    asked = releases.asked(context.store, ref, before.get(releases.LABEL))
    if not asked and not any(
        has_changed(context, context.domain.ref(label), before.get(label)) for label in labels
    ):
        return None
    after = {label: str(context.store.head(context.domain.ref(label)).version) for label in labels}
    after |= releases.consumed(asked, before)
    pending = _pending(context, spec.source, before.get(spec.source), after[spec.source])
    decided = resolutions(context.store, context.domain.name)
    decision = {b: s.decision for b, s in decided.items()}
    bearing = {
        b: d.value for b, d in decision.items() if b in pending or d is Decision.rejected
    }  # a rejected batch of an earlier attempt may have rows in quarantine
    return Intake(
        before,
        after,
        tuple(
            Batch(b, n, accepted=decision.get(b) is Decision.accepted)
            for b, n in pending.items()
            if decision.get(b) is not Decision.rejected
        ),
        tuple(Batch(b, n) for b, n in pending.items() if decision.get(b) is Decision.rejected),
        asks=bool(asked),
        decisions=bearing,
    )


def _pending(context: Context, source: str, after: str | None, until: str) -> dict[str, int]:
    """Rows of each delivery that bronze recorded after a position, by batch id."""
    found: dict[str, int] = {}
    for entry in context.store.since(context.domain.ref(source), Version(after) if after else None):
        for file in entry.record.files if entry.record else ():
            found[file.batch_id] = found.get(file.batch_id, 0) + file.rows
        if entry.version == until:
            break
    return found


def _judged_rows(context: Context, ref: TableRef, spec: SilverSpec, intake: Intake) -> DataFrame:
    source = context.domain.ref(spec.source or "")
    after, until = intake.before.get(source.label), Version(intake.after[source.label])
    if after is None:
        fresh = context.store.read(source, until)
    else:
        fresh = arrived(context.store, source, Version(after), until)
    fresh = with_declared_columns(context.domain.bronze[source.name], fresh)
    if intake.rejected:
        fresh = fresh.where(~F.col("_batch_id").isin(intake.rejected_ids))
    held = F.lit(None).cast("string")
    fresh = fresh.withColumn("_retried", F.lit(False)).withColumn(HELD_RULE, held)
    again = quarantine.retried(context, ref, intake.pending, _asked(context, ref, intake))
    if again is not None:
        fresh = fresh.unionByName(again.withColumn("_retried", F.lit(True)))
    return judge(context, ref, fresh, intake.after)


def _target(context: Context, ref: TableRef) -> DataFrame | None:
    """The table's rows, or None where the attempt makes all of them."""
    first = context.run.rebuild or context.store.head(ref).record is None
    return None if first else context.store.read(ref)


def _write_effective(
    context: Context,
    ref: TableRef,
    spec: SilverSpec,
    rows: DataFrame,
    intake: Intake,
    attempt: Attempt,
    *,
    few: bool,
) -> dict[str, str]:
    """Stage one row a merge key with its `_outcome`: what the merge will do with it.

    With `few` rows the table's rows of their keys are looked for beforehand.

    Returns:
        For snapshots the place of the newest one, for the commit record.
    """
    target = _target(context, ref)
    latest = candidates(context, ref, rows.where("_rule is null"))
    place: dict[str, str] = {}
    with ExitStack() as cached:
        if snapshots.applies(spec):
            known = "" if target is None else snapshots.known(context.store, ref)
            delivered = snapshots.open_snapshots(spec, rows, known)
            newer = delivered is not None and delivered.newest
            place = {snapshots.NOTE: delivered.place if delivered and newer else known}
            if delivered is not None:
                latest = snapshots.applied(spec, latest, target, delivered)
            elif not rows.isEmpty():
                whole = _whole_source(context, spec, intake).cache()
                cached.callback(whole.unpersist)
                newest = snapshots.reopened(spec, whole, known)
                latest = snapshots.applied(spec, latest, target, newest)
                latest = latest.where(f"not {snapshots.MISSING}")
        write(
            _with_outcomes(context, ref, spec, latest, target, intake, attempt.token, few=few),
            Path(attempt.part("rows")),
        )
    return place


def _whole_source(context: Context, spec: SilverSpec, intake: Intake) -> DataFrame:
    """Every row of the bronze table, judged by itself."""
    source = context.domain.ref(spec.source or "")
    rows = context.store.read(source, Version(intake.after[source.label]))
    return judged(typed(rows, spec.row_columns, context.domain.bronze[source.name].columns), spec)


def candidates(
    context: Context, ref: TableRef, good: DataFrame, kept: Sequence[str] = ()
) -> DataFrame:
    """The winning row of each merge key, or what `reduce` makes of its rows; `kept` names further columns."""
    spec = context.domain.silver[ref.name]
    if spec.reduce:
        good.drop("_rank").createOrReplaceTempView(reducing.ROWS)
        made = reducing.reduced(context.store.session, context.domain, ref)
        winners, added = made.withColumn(DELETED, F.lit(False)), []
    else:
        winners = good.where("_rank = 1")
        added = [n for n in (EVENT_ID, WINDOW) if n in winners.columns]
    columns = [n for n, c in spec.columns.items() if c.lookup is None]
    return winners.select(
        *map(quote, columns), *added, *kept, DELETED, "_sequence", "_batch_id",
        F.lit(False).alias(snapshots.MISSING), F.lit(False).alias(snapshots.DROPPED),
    )  # fmt: skip


def _with_outcomes(
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
    rows = rows.withColumn("_refreshed", F.lit(False))
    if target is not None:
        outdated = stale(context, target, spec, intake.before, intake.after)
        if outdated is not None:
            rows = rows.unionByName(_refreshable(spec, outdated, rows))
    rows = completed(context, spec, rows, intake.after, token)
    late = F.col(snapshots.DROPPED)
    if tombstones.kept_for(spec):
        rows = tombstones.with_tombstones(context, ref, spec, rows, intake.pending)
        late = late | F.expr(tombstones.outdated(spec))
    if target is not None and few and not (spec.lookups or snapshots.applies(spec)):
        keys = rows.select(*map(quote, merge_key(spec)))
        target = target.join(F.broadcast(keys), merge_key(spec), "left_semi")
    marked = _marked(spec, rows, target)
    written = F.col("_written")
    if tombstones.kept_for(spec):
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
    if not spec.marks_deleted or spec.strategy is Strategy.events:
        return rows
    return rows.withColumn("_deleted_at", F.when(F.col(DELETED), _deleted_at(context, spec)))


def _marked(spec: SilverSpec, rows: DataFrame, target: DataFrame | None) -> DataFrame:
    if target is not None:
        return plan(spec).marked(target, rows)
    inserted = F.coalesce(F.expr(plan(spec).insert_when), F.lit(False))
    nothing = F.lit(None).cast(silver_schema(spec))
    return rows.alias("s").withColumn("_written", inserted).withColumn(BEFORE, nothing)


def _refreshable(spec: SilverSpec, rows: DataFrame, like: DataFrame) -> DataFrame:
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


def write(rows: DataFrame, folder: Path) -> None:
    """Write rows to the staging folder."""
    rows.write.mode("overwrite").parquet(str(folder))
