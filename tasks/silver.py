"""Silver tables fed row by row: typed, judged, deduplicated, looked up, merged by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.dataset as ds
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.plans import BEFORE, MergePlan
from storage.schemas import schema
from storage.sql import quote
from storage.types import TableRef, Version
from tasks import (
    accounting,
    bronze,
    changes,
    ordering,
    quarantine,
    reducing,
    releases,
    snapshots,
    tombstones,
)
from tasks.accounting import Fate
from tasks.bench import Batch, Bench, Staged, attempt_id, fingerprint, moved, position
from tasks.contracts import contract_of
from tasks.decisions import Decision, settlements
from tasks.frames import HELD_RULE, judged, typed
from tasks.heads import heads
from tasks.judging import judge
from tasks.ledger import arrived
from tasks.lookups import looked_up, stale
from tasks.ordering import DELETED, EVENT_ID, WINDOW, merge_key
from tasks.spec import SilverSpec, Strategy, dependencies

FEW = 200_000
"""So many rows are told to every task, so that a large table is read through once and not sorted."""


def silver_schema(spec: SilverSpec) -> StructType:
    """Declared columns, then the metadata."""
    return schema([*((n, c.type) for n, c in spec.columns.items()), *ordering.metadata(spec)])


def plan(spec: SilverSpec) -> MergePlan:
    """How staged rows are merged."""
    made = ordering.plan(spec)
    return snapshots.only_differences(spec, made) if snapshots.applies(spec) else made


@dataclass(frozen=True)
class Intake:
    """What an attempt reads: positions before and after, the deliveries and the requests between.

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


def stage(bench: Bench, ref: TableRef) -> Staged | None:
    """Write the rows to publish, to quarantine and to release; None when nothing is new."""
    spec = bench.domain.silver[ref.name]
    quarantine.finish_release(bench, ref)
    found = heads(bench, *written(bench, ref))
    intake = _intake(bench, ref)
    if intake is None:
        return None
    contract = contract_of(bench, ref)
    rebuilding = [bench.run.run_id] if bench.run.rebuild else []
    token = fingerprint(
        ref.label, intake.before, intake.after, contract, rebuilding, intake.decisions
    )
    staged = Staged(
        table=ref,
        token=token,
        folder=str(bench.folder(ref, token)),
        inputs=intake.after,
        contract=contract,
        replace=bench.run.rebuild,
        heads=found,
    )
    staged.clear()
    rows = ranked(_judged_rows(bench, ref, spec, intake), spec).cache()
    try:
        counts = accounting.count(rows)
        _write_quarantine(bench, ref, rows, intake, staged, any_bad=any(g.rule for g in counts))
        few = counts.total() <= FEW
        place = _write_effective(bench, ref, spec, rows, intake, staged, few=few)
    finally:
        rows.unpersist()
    fates = accounting.fates(staged)
    accounts = accounting.by_batch(spec, intake.batches, intake.rejected, counts, fates)
    staged = replace(
        staged,
        batches=accounting.with_bad_rows(intake.batches, counts),
        rows=accounting.in_all(spec, accounts, counts, fates) | _graves(spec, staged),
        notes={
            "rejected": intake.rejected_ids,
            "releases": staged.count("released"),
            "changes": _target(bench, ref) is not None,
            accounting.ACCOUNTS: accounts,
            accounting.REBUILT: bench.run.rebuild,
            **place,
            **_attempt(bench, ref, intake, contract),
        },
    )
    staged.save()
    return staged


def written(bench: Bench, ref: TableRef) -> list[TableRef]:
    """The tables that a publication of the table writes to: itself, and those beside it."""
    beside = [quarantine.table(ref)]
    beside += [tombstones.table(ref)] if tombstones.kept_for(bench.domain.silver[ref.name]) else []
    return [ref, *beside]


def _graves(spec: SilverSpec, staged: Staged) -> dict[str, int]:
    if not tombstones.kept_for(spec):
        return {}
    published = ds.field("_fate") == Fate.published.value
    return {"tombstones": staged.count("rows", ds.field(DELETED) & published)}


def _write_quarantine(
    bench: Bench, ref: TableRef, rows: DataFrame, intake: Intake, staged: Staged, *, any_bad: bool
) -> None:
    """Stage the rows that enter the quarantine, or are there for another rule now, and those that leave."""
    if any_bad:
        write(quarantine.entering(rows), Path(staged.part("quarantine")))
    if quarantine.holds(bench, ref):
        kept = quarantine.reconsidered(bench, ref, intake.pending, _asked(bench, ref, intake))
        write(quarantine.leaving(kept, rows), Path(staged.part("released")))


def _asked(bench: Bench, ref: TableRef, intake: Intake) -> DataFrame | None:
    if not intake.asks:
        return None
    label = releases.LABEL
    return releases.sequences(bench, ref, intake.before.get(label), intake.after.get(label))


def _attempt(bench: Bench, ref: TableRef, intake: Intake, contract: str) -> dict[str, object]:
    """Id and acceptance of an attempt without deliveries: looked-up rows or released ones only."""
    if intake.batches:
        return {}
    batch_id = attempt_id(ref, intake.after, contract)
    settled = settlements(bench.store, bench.domain.name).get(batch_id)
    accepted = settled is not None and settled.decision is Decision.accepted
    return {"batch_id": batch_id, "accepted": accepted}


def staged_rows(bench: Bench, staged: Staged) -> DataFrame:
    """The staged rows that the merge writes, with the flags that its conditions ask for."""
    columns = plan(bench.domain.silver[staged.table.name]).source_columns
    rows = changes.rows_of(bench, staged)
    return rows.where(F.col("_fate") != Fate.unchanged.value).select(*map(quote, columns))


def _intake(bench: Bench, ref: TableRef) -> Intake | None:
    spec = bench.domain.silver[ref.name]
    assert spec.source is not None  # noqa: S101 - validated with the domain
    before = position(bench, ref)
    labels = dependencies(bench.domain)[ref.label]
    asked = releases.asked(bench.store, ref, before.get(releases.LABEL))
    if not asked and not any(
        moved(bench, bench.domain.ref(label), before.get(label)) for label in labels
    ):
        return None
    after = {label: str(bench.store.head(bench.domain.ref(label)).version) for label in labels}
    after |= releases.position(asked, before)
    pending = _pending(bench, spec.source, before.get(spec.source), after[spec.source])
    decided = settlements(bench.store, bench.domain.name)
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


def _pending(bench: Bench, source: str, after: str | None, until: str) -> dict[str, int]:
    """Rows of each delivery that bronze recorded after a position, by batch id."""
    found: dict[str, int] = {}
    for entry in bench.store.since(bench.domain.ref(source), Version(after) if after else None):
        for file in entry.record.files if entry.record else ():
            found[file.batch_id] = found.get(file.batch_id, 0) + file.rows
        if entry.version == until:
            break
    return found


def _judged_rows(bench: Bench, ref: TableRef, spec: SilverSpec, intake: Intake) -> DataFrame:
    source = bench.domain.ref(spec.source or "")
    after, until = intake.before.get(source.label), Version(intake.after[source.label])
    if after is None:
        fresh = bench.store.read(source, until)
    else:
        fresh = arrived(bench.store, source, Version(after), until)
    fresh = bronze.declared(bench, source, fresh)
    if intake.rejected:
        fresh = fresh.where(~F.col("_batch_id").isin(intake.rejected_ids))
    held = F.lit(None).cast("string")
    fresh = fresh.withColumn("_retried", F.lit(False)).withColumn(HELD_RULE, held)
    again = quarantine.retried(bench, ref, intake.pending, _asked(bench, ref, intake))
    if again is not None:
        fresh = fresh.unionByName(again.withColumn("_retried", F.lit(True)))
    return judge(bench, ref, fresh, intake.after)


def _target(bench: Bench, ref: TableRef) -> DataFrame | None:
    """The table's rows, or None where the attempt makes all of them."""
    first = bench.run.rebuild or bench.store.head(ref).record is None
    return None if first else bench.store.read(ref)


def _write_effective(
    bench: Bench,
    ref: TableRef,
    spec: SilverSpec,
    rows: DataFrame,
    intake: Intake,
    staged: Staged,
    *,
    few: bool,
) -> dict[str, str]:
    """Stage one row a merge key with its `_fate`: what the merge will do with it.

    With `few` rows the table's rows of their keys are looked for beforehand.

    Returns:
        For snapshots the place of the newest one, for the commit record.
    """
    target = _target(bench, ref)
    latest = candidates(bench, ref, rows.where("_rule is null"))
    place: dict[str, str] = {}
    with ExitStack() as cached:
        if snapshots.applies(spec):
            known = "" if target is None else snapshots.known(bench.store, ref)
            delivered = snapshots.open_snapshots(spec, rows, known)
            newer = delivered is not None and delivered.newest
            place = {snapshots.NOTE: delivered.place if delivered and newer else known}
            if delivered is not None:
                latest = snapshots.applied(spec, latest, target, delivered)
            elif not rows.isEmpty():
                whole = _whole_source(bench, spec, intake).cache()
                cached.callback(whole.unpersist)
                newest = snapshots.reopened(spec, whole, known)
                latest = snapshots.applied(spec, latest, target, newest)
                latest = latest.where(f"not {snapshots.MISSING}")
        write(
            _fated(bench, ref, spec, latest, target, intake, staged.token, few=few),
            Path(staged.part("rows")),
        )
    return place


def _whole_source(bench: Bench, spec: SilverSpec, intake: Intake) -> DataFrame:
    """Every row of the bronze table, judged by itself."""
    source = bench.domain.ref(spec.source or "")
    rows = bench.store.read(source, Version(intake.after[source.label]))
    return judged(typed(rows, spec.row_columns, bench.domain.bronze[source.name].columns), spec)


def candidates(bench: Bench, ref: TableRef, good: DataFrame, kept: Sequence[str] = ()) -> DataFrame:
    """The row of each merge key that is last in order, with further columns of the rows to keep."""
    spec = bench.domain.silver[ref.name]
    if spec.reduce:
        good.drop("_rank").createOrReplaceTempView(reducing.ROWS)
        made = reducing.reduced(bench.store.session, bench.domain, ref)
        winners, added = made.withColumn(DELETED, F.lit(False)), []
    else:
        winners = good.where("_rank = 1")
        added = [n for n in (EVENT_ID, WINDOW) if n in winners.columns]
    columns = [n for n, c in spec.columns.items() if c.lookup is None]
    return winners.select(
        *map(quote, columns), *added, *kept, DELETED, "_sequence", "_batch_id",
        F.lit(False).alias(snapshots.MISSING), F.lit(False).alias(snapshots.DROPPED),
    )  # fmt: skip


def _fated(
    bench: Bench,
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
        outdated = stale(bench, target, spec, intake.before, intake.after)
        if outdated is not None:
            rows = rows.unionByName(_refreshable(spec, outdated, rows))
    rows = completed(bench, spec, rows, intake.after, token)
    late = F.col(snapshots.DROPPED)
    if tombstones.kept_for(spec):
        rows = tombstones.with_tombstones(bench, ref, spec, rows, intake.pending)
        late = late | F.expr(tombstones.outdated(spec))
    if target is not None and few and not (spec.lookups or snapshots.applies(spec)):
        keys = rows.select(*map(quote, merge_key(spec)))
        target = target.join(F.broadcast(keys), merge_key(spec), "left_semi")
    marked = _marked(spec, rows, target)
    written = F.col("_written")
    if tombstones.kept_for(spec):
        unseen = F.col(DELETED) & F.col(BEFORE).isNull() & ~F.expr(tombstones.repeated(spec))
        written = written | unseen
    fate = (
        F.when(late | ~written, Fate.unchanged.value)
        .when(F.col("_refreshed"), Fate.refreshed.value)
        .when(F.col(snapshots.MISSING), Fate.removed.value)
        .otherwise(Fate.published.value)
    )
    kept = [quote(c) for c in dict.fromkeys([*plan(spec).columns, DELETED])]
    fated = marked.select(*kept, BEFORE, "_refreshed", fate.alias("_fate"))
    changed = (F.col("_fate") != Fate.unchanged.value) & ~F.col("_refreshed")
    if target is not None and spec.lookups:  # a row that a newer one replaces is not looked up anew
        replaced = F.max(changed).over(Window.partitionBy(*map(quote, merge_key(spec))))
        fated = fated.withColumn("_replaced", replaced)
        fated = fated.where("not (_refreshed and _replaced)").drop("_replaced")
    return fated.where("_fate <> 'unchanged' or not _refreshed").drop("_refreshed")


def completed(
    bench: Bench, spec: SilverSpec, rows: DataFrame, versions: Mapping[str, str], token: str
) -> DataFrame:
    """The candidates with looked-up columns and metadata: what the merge writes."""
    rows = looked_up(bench, rows, spec, versions)
    rows = rows.withColumn("_merge_id", F.lit(token)).withColumn(
        "_updated_at", F.lit(bench.run.started_at).cast("timestamp")
    )
    if not spec.marks_deleted or spec.strategy is Strategy.events:
        return rows
    return rows.withColumn("_deleted_at", F.when(F.col(DELETED), _deleted_at(bench, spec)))


def _marked(spec: SilverSpec, rows: DataFrame, target: DataFrame | None) -> DataFrame:
    if target is not None:
        return plan(spec).marked(target, rows)
    inserted = F.coalesce(F.expr(plan(spec).insert_when), F.lit(False))
    nothing = F.lit(None).cast(silver_schema(spec))
    return rows.alias("s").withColumn("_written", inserted).withColumn(BEFORE, nothing)


def _refreshable(spec: SilverSpec, rows: DataFrame, like: DataFrame) -> DataFrame:
    """Rows of the table as candidates that only look up anew."""
    for name in (DELETED, snapshots.MISSING, snapshots.DROPPED):
        if name not in rows.columns:
            rows = rows.withColumn(name, F.lit(False))
    rows = rows.withColumn("_refreshed", F.lit(True))
    return rows.select(*map(quote, like.columns))


def _deleted_at(bench: Bench, spec: SilverSpec) -> Column:
    """The instant of the delete event where its sequence is one, else that of the run."""
    instant = spec.sequence_by[0] if spec.sequence_by else ""
    if instant and spec.columns[instant].type in ("timestamp", "date"):
        return F.col(quote(instant)).cast("timestamp")
    return F.lit(bench.run.started_at).cast("timestamp")


def ranked(rows: DataFrame, spec: SilverSpec) -> DataFrame:
    """Add `_rank`: 1 for the good row of each merge key that counts."""
    order = ["_sequence"] if spec.reduce else ordering.event_order(spec)
    latest = Window.partitionBy(*[quote(k) for k in merge_key(spec)]).orderBy(
        F.col("_rule").isNull().desc(), *ordering.winning(spec, order)
    )
    return rows.withColumn("_rank", F.row_number().over(latest))


def write(rows: DataFrame, folder: Path) -> None:
    """Write rows to the staging folder."""
    rows.write.mode("overwrite").parquet(str(folder))
