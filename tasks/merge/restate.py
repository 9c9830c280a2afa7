"""Part of a silver table restated: the rows of one partition, from bronze as the table has consumed it.

Outside the partition the table is taken as right. Inside it, every row must come out of bronze: a row whose
own record is no longer among the good ones leaves, unless another record of its key, in whatever partition,
stands in for it. The table's source versions stay as they were, so no new delivery is taken in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.errors import ConfigurationError
from storage.plans import BEFORE, GONE, MergePlan, replaces, same
from storage.sql import quote
from storage.types import TableRef, Version
from tasks.context import Attempt, Context, backfill_folder, fingerprint
from tasks.domain.schemas import DELETED, merge_key
from tasks.domain.spec import SilverSpec, dependencies
from tasks.merge import quarantine, silver
from tasks.merge.intake import Intake
from tasks.merge.judging import judge
from tasks.merge.outcomes import candidates, completed, ranked
from tasks.notes import BackfillPart, Batch, Notes
from tasks.records import accounting, changes, decisions, releases
from tasks.records.accounting import RowOutcome
from tasks.records.contracts import contract_of
from tasks.records.heads import heads
from tasks.records.ledger import delivered
from tasks.rows import ordering
from tasks.rows.declared import with_declared_columns
from tasks.rows.frames import any_of
from tasks.rows.ordering import sequence
from tasks.rows.partitions import Partition

OWN, REJECTED, STAND_IN = "_own", "_rejected", "_stand_in"


@dataclass(frozen=True)
class Part:
    """What is restated: a partition of a table, and the conditions that find its rows."""

    ref: TableRef
    spec: SilverSpec
    partition: Partition

    @property
    def bronze(self) -> str:
        """Condition over the source's text."""
        assert self.spec.partition is not None  # noqa: S101 - planned with the domain
        return self.partition.text(quote(self.spec.partition.source))

    def table(self, alias: str = "") -> str:
        """Condition over the table's own column."""
        assert self.spec.partition is not None  # noqa: S101 - planned with the domain
        name = self.spec.partition.column
        column = f"{alias}.{quote(name)}" if alias else quote(name)
        return self.partition.typed(column, self.spec.columns[name].type)


def plan(spec: SilverSpec, partition: Partition) -> MergePlan:
    """How a restated part is merged: it decides inside, elsewhere only what wins by its order counts."""
    made = ordering.plan(spec)
    order = [c for c in ordering.event_order(spec) if c in made.columns]
    inside = Part(TableRef("", "silver", ""), spec, partition).table("t")
    later = replaces(order, first=spec.first_wins)
    return MergePlan(
        made.keys,
        made.columns,
        update_when=f"NOT s.{GONE} AND (({inside}) OR ({same(order)}) OR ({later}))",
        delete_when=f"s.{GONE} AND {inside}",
        insert_when=f"NOT s.{GONE}",
        flags=(GONE,),
    )


def stage(context: Context, ref: TableRef, restated: BackfillPart) -> Attempt:
    """Write what a partition's records make of it to the staging folder.

    Args:
        context: The context.
        ref: A silver table fed row by row that declares `partition`.
        restated: The part.

    Raises:
        ConfigurationError: The table was never loaded.
    """
    part = Part(ref, context.domain.silver[ref.name], restated.partition)
    found = heads(context, *silver.written(context, ref))
    head = context.store.head(ref).record
    if head is None or not head.inputs:
        raise ConfigurationError(
            f"{ref.label} was never loaded, so there is nothing to restate",
            advice=f"Load it first: lakehouse run domain={context.domain.name}",
        )
    intake = _intake(context, part, head.inputs)
    contract = contract_of(context, ref)
    token = fingerprint(ref.label, restated.stored(), intake.after, intake.rejected_ids, contract)
    attempt = Attempt(
        table=ref,
        token=token,
        folder=str(backfill_folder(context, ref, token)),
        inputs=intake.after,
        contract=contract,
        consumed=dict(head.inputs),
        heads=found,
        notes=Notes(
            backfill=restated,
            itself=decisions.resolvable(
                context.store, context.domain.name, f"{ref.name}-{token[:12]}"
            ),
            keeps_changes=True,
        ),
    )
    attempt.clear()
    rows = _judged(context, part, intake).cache()
    try:
        return _write(context, part, attempt, intake, rows)
    finally:
        rows.unpersist()


def staged_rows(context: Context, attempt: Attempt) -> DataFrame:
    """The staged rows that the merge writes."""
    rows = changes.rows_of(context, attempt).where(F.col("_outcome") != RowOutcome.unchanged.value)
    return rows.select(*map(quote, plan_of(context, attempt).source_columns))


def plan_of(context: Context, attempt: Attempt) -> MergePlan:
    """The merge plan of an attempt."""
    assert attempt.notes.backfill is not None  # noqa: S101 - it is a part of one
    return plan(context.domain.silver[attempt.table.name], attempt.notes.backfill.partition)


def _intake(context: Context, part: Part, consumed: Mapping[str, str]) -> Intake:
    """Bronze and requests as consumed, the other tables as now; batches are known once rows are counted."""
    labels = dependencies(context.domain)[part.ref.label]
    after = {label: str(context.store.head(context.domain.ref(label)).version) for label in labels}
    source = part.spec.source or ""
    rejected = tuple(Batch(b, 0) for b in decisions.rejected(context.store, context.domain.name))
    as_consumed = {
        label: consumed[label] for label in (source, releases.LABEL) if label in consumed
    }
    return Intake({}, after | as_consumed, (), rejected)


def _records(context: Context, part: Part, intake: Intake) -> DataFrame:
    source = context.domain.ref(part.spec.source or "")
    rows = context.store.read(source, Version(intake.after[source.label]))
    return with_declared_columns(context.domain.bronze[source.name], rows)


def _judged(context: Context, part: Part, intake: Intake) -> DataFrame:
    """The partition's records, those of rejected batches marked."""
    inside = _records(context, part, intake).where(part.bronze)
    return judge(
        context, part.ref, _flagged(inside, intake, own=True, stand_in=False), intake.after
    )


def _flagged(rows: DataFrame, intake: Intake, *, own: bool | str, stand_in: bool) -> DataFrame:
    belongs = F.lit(own) if isinstance(own, bool) else F.coalesce(F.expr(own), F.lit(False))
    return rows.select(
        "*",
        belongs.alias(OWN),
        F.col("_batch_id").isin(intake.rejected_ids).alias(REJECTED),
        F.lit(stand_in).alias(STAND_IN),
        F.lit(False).alias("_retried"),
    )


def _write(
    context: Context,
    part: Part,
    attempt: Attempt,
    intake: Intake,
    records: DataFrame,
) -> Attempt:
    ref, spec = part.ref, part.spec
    counted = records.groupBy("_batch_id", REJECTED).count().collect()
    intake = _with_batches(context, intake, {(r[0], r[1]): r[2] for r in counted})
    target = context.store.read(ref)
    kept = records.where(f"not {REJECTED}")
    vanished = _vanished(context, part, attempt, target, kept)
    if vanished is not None:
        kept = _with_stand_ins(context, part, intake, kept, vanished)
    rows = ranked(kept, spec).cache()
    try:
        own = rows.where(OWN)
        counts = accounting.count(own)
        if any(group.rule for group in counts):
            entering = quarantine.entering(quarantine.held_rules(context, ref, own))
            silver.write(entering, Path(attempt.part("quarantine")))
        if quarantine.holds(context, ref):
            held = quarantine.held_within(context, ref, part.bronze)
            held = held.join(records.select("_sequence"), "_sequence", "left_semi")
            silver.write(quarantine.leaving(held, own), Path(attempt.part("released")))
        made = _with_outcomes(context, part, attempt, intake, rows, target, vanished)
        silver.write(made, Path(attempt.part("rows")))
    finally:
        rows.unpersist()
    outcomes = accounting.row_outcomes(attempt)
    accounts = accounting.by_batch(spec, intake.batches, intake.rejected, counts, outcomes)
    attempt = replace(
        attempt,
        batches=accounting.with_bad_rows(_whole(context, part, intake.batches), counts),
        rows=accounting.in_all(spec, accounts, counts, outcomes),
    ).noting(
        rejected=tuple(intake.rejected_ids),
        releases=attempt.count("released"),
        accounts=accounting.restated(attempt),
    )
    attempt.save()
    return attempt


def _whole(context: Context, part: Part, batches: Sequence[Batch]) -> tuple[Batch, ...]:
    """The batches with all their rows: a limit is a share of a delivery, not of a part of it."""
    source = context.domain.ref(part.spec.source or "")
    rows = {file.batch_id: file.rows for file in delivered(context.store, source)}
    return tuple(replace(b, rows=max(b.rows, rows.get(b.batch_id, 0))) for b in batches)


def _with_batches(
    context: Context, intake: Intake, counted: Mapping[tuple[str, bool], int]
) -> Intake:
    accepted = decisions.accepted(context.store, context.domain.name)
    rejected = tuple(Batch(b, n) for (b, out), n in counted.items() if out)
    taken = tuple(Batch(b, n, accepted=b in accepted) for (b, out), n in counted.items() if not out)
    return Intake(intake.before, intake.after, taken, rejected)


def _vanished(
    context: Context, part: Part, attempt: Attempt, target: DataFrame, kept: DataFrame
) -> DataFrame | None:
    """Merge keys of rows inside whose record is no longer among the good ones; None where there is none."""
    key = merge_key(part.spec)
    names = [quote(c) for c in dict.fromkeys([*key, "_sequence"])]
    good = kept.where("_rule is null").select(*names)
    gone = target.where(part.table()).join(
        good, list(dict.fromkeys([*key, "_sequence"])), "left_anti"
    )
    silver.write(gone.select(*map(quote, key)).distinct(), Path(attempt.part("vanished")))
    if not attempt.count("vanished"):
        return None
    return context.store.rows_of(attempt.part("vanished"))


def _with_stand_ins(
    context: Context, part: Part, intake: Intake, kept: DataFrame, vanished: DataFrame
) -> DataFrame:
    """For the vanished keys, every record that bronze has of them instead of the partition's."""
    key = merge_key(part.spec)
    taken = _records(context, part, intake).where(~F.col("_batch_id").isin(intake.rejected_ids))
    every = _flagged(taken, intake, own=part.bronze, stand_in=True)
    others = judge(context, part.ref, every, intake.after)
    return kept.join(vanished, key, "left_anti").unionByName(
        others.join(vanished, key, "left_semi").select(*kept.columns)
    )


def _with_outcomes(
    context: Context,
    part: Part,
    attempt: Attempt,
    intake: Intake,
    rows: DataFrame,
    target: DataFrame,
    vanished: DataFrame | None,
) -> DataFrame:
    """One row a merge key with what the merge will do with it."""
    spec, merging = part.spec, plan(part.spec, part.partition)
    latest = candidates(context, part.ref, rows.where("_rule is null"), [OWN, STAND_IN])
    made = completed(context, spec, latest, intake.after, attempt.token)
    made = made.withColumn(GONE, F.lit(False)).select(
        *map(quote, merging.source_columns), OWN, STAND_IN
    )
    if vanished is not None:
        left = target.where(part.table()).join(vanished, merge_key(spec), "left_semi")
        left = left.join(made.select(*map(quote, merge_key(spec))), merge_key(spec), "left_anti")
        left = left.select(
            "*", F.lit(True).alias(GONE), F.lit(False).alias(OWN), F.lit(True).alias(STAND_IN)
        )
        made = made.unionByName(left.select(*made.columns))
    marked = merging.marked(target, made)
    new = F.col(BEFORE).isNull() | F.col(GONE) | _differs(spec)
    outcome = (
        F.when(~F.col("_written") | ~new, RowOutcome.unchanged.value)
        .when(F.col(GONE), RowOutcome.removed.value)
        .when(~F.col(OWN), RowOutcome.refreshed.value)
        .otherwise(RowOutcome.published.value)
    )
    columns = [*map(quote, merging.source_columns), BEFORE]
    return marked.select(*columns, OWN, outcome.alias("_outcome")).where(
        f"{OWN} or _outcome <> 'unchanged'"
    )


def _differs(spec: SilverSpec) -> Any:
    """Whether a row's own values differ from those it meets; who wrote them, and when, does not count."""
    compared = [*spec.columns, *([DELETED] if spec.marks_deleted else [])]
    unlike = [~F.col(quote(c)).eqNullSafe(F.col(f"{BEFORE}.{quote(c)}")) for c in compared]
    order = F.lit(True) if sequence(spec) == ["_sequence"] else F.col(STAND_IN)
    unlike.append(order & ~F.col("_sequence").eqNullSafe(F.col(f"{BEFORE}._sequence")))
    return any_of(unlike)
