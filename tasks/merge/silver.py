"""Silver tables fed row by row: typed, judged, deduplicated, looked up, merged by key."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pyarrow.dataset as ds
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.sql import quote
from storage.types import TableRef, Version
from tasks.context import (
    Attempt,
    Context,
    attempt_id,
    fingerprint,
)
from tasks.domain.schemas import (
    DELETED,
    quarantine_of,
    tombstones_of,
)
from tasks.domain.spec import SilverSpec
from tasks.merge import quarantine, snapshots
from tasks.merge.intake import Intake, asked_rows, intake_of
from tasks.merge.judging import judge
from tasks.merge.outcomes import BROADCAST_ROWS, candidates, plan, ranked, with_outcomes
from tasks.notes import Batch, Notes
from tasks.records import accounting, changes
from tasks.records.accounting import RowOutcome
from tasks.records.contracts import contract_of
from tasks.records.decisions import resolvable
from tasks.records.heads import heads
from tasks.records.ledger import arrived
from tasks.rows.declared import with_declared_columns
from tasks.rows.frames import HELD_RULE, typed, with_broken_rule


def stage(context: Context, ref: TableRef) -> Attempt | None:
    """Write the rows to publish, to quarantine and to release; None when nothing is new."""
    spec = context.domain.silver[ref.name]
    quarantine.finish_release(context, ref)
    found = heads(context, *written(context, ref))
    intake = intake_of(context, ref)
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
        notes=Notes(
            itself=_itself(context, ref, intake, contract),
            rejected=tuple(intake.rejected_ids),
            releases=attempt.count("released"),
            keeps_changes=_target(context, ref) is not None,
            accounts=accounts,
            rebuilt=context.run.rebuild,
            snapshot=place,
        ),
    )
    attempt.save()
    return attempt


def written(context: Context, ref: TableRef) -> list[TableRef]:
    """The tables that a publication of the table writes to: itself, and those beside it."""
    beside = [quarantine_of(ref)]
    beside += [tombstones_of(ref)] if context.domain.silver[ref.name].keeps_tombstones else []
    return [ref, *beside]


def _tombstones(spec: SilverSpec, attempt: Attempt) -> dict[str, int]:
    if not spec.keeps_tombstones:
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
        kept = quarantine.reconsidered(
            context, ref, intake.pending, asked_rows(context, ref, intake)
        )
        write(quarantine.leaving(kept, rows), Path(attempt.part("released")))


def _itself(context: Context, ref: TableRef, intake: Intake, contract: str) -> Batch | None:
    """An attempt without deliveries, as a person resolves it: looked-up rows or released ones only."""
    if intake.batches:
        return None
    return resolvable(context.store, context.domain.name, attempt_id(ref, intake.after, contract))


def staged_rows(context: Context, attempt: Attempt) -> DataFrame:
    """The staged rows that the merge writes, with the flags that its conditions ask for."""
    columns = plan(context.domain.silver[attempt.table.name]).source_columns
    rows = changes.rows_of(context, attempt)
    return rows.where(F.col("_outcome") != RowOutcome.unchanged.value).select(*map(quote, columns))


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
    again = quarantine.retried(context, ref, intake.pending, asked_rows(context, ref, intake))
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
) -> str | None:
    """Stage one row a merge key with its `_outcome`: what the merge will do with it.

    With `few` rows the table's rows of their keys are looked for beforehand.

    Returns:
        For snapshots the place of the newest one, for the commit record.
    """
    target = _target(context, ref)
    latest = candidates(context, ref, rows.where("_rule is null"))
    place: str | None = None
    with ExitStack() as cached:
        if spec.deletes_missing:
            known = "" if target is None else snapshots.known(context.store, ref)
            delivered = snapshots.open_snapshots(spec, rows, known)
            newer = delivered is not None and delivered.newest
            place = delivered.place if delivered and newer else known
            if delivered is not None:
                latest = snapshots.applied(spec, latest, target, delivered)
            elif not rows.isEmpty():
                whole = _whole_source(context, spec, intake).cache()
                cached.callback(whole.unpersist)
                newest = snapshots.reopened(spec, whole, known)
                latest = snapshots.applied(spec, latest, target, newest)
                latest = latest.where(f"not {snapshots.MISSING}")
        write(
            with_outcomes(context, ref, spec, latest, target, intake, attempt.token, few=few),
            Path(attempt.part("rows")),
        )
    return place


def _whole_source(context: Context, spec: SilverSpec, intake: Intake) -> DataFrame:
    """Every row of the bronze table, judged by itself."""
    source = context.domain.ref(spec.source or "")
    rows = context.store.read(source, Version(intake.after[source.label]))
    return with_broken_rule(
        typed(rows, spec.row_columns, context.domain.bronze[source.name].columns), spec
    )


def write(rows: DataFrame, folder: Path) -> None:
    """Write rows to the staging folder."""
    rows.write.mode("overwrite").parquet(str(folder))
