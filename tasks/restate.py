"""Part of a silver table anew: the rows of one partition, from bronze as the table has consumed it.

Outside the partition the table is taken as right. Inside it, every row must come out of bronze: a row whose
own record is no longer among the good ones leaves, unless another record of its key, in whatever partition,
stands in for it. The table's position stays where it was, so no new delivery is taken in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.errors import ConfigurationError
from storage.parquet_reading import spark_rows
from storage.plans import BEFORE, GONE, MergePlan, replaces, same
from storage.sql import quote
from storage.types import TableRef, Version
from tasks import accounting, bronze, changes, decisions, ordering, quarantine, releases, silver
from tasks.accounting import ACCOUNTS, Fate
from tasks.bench import NOTE, Batch, Bench, Staged, backfill_folder, fingerprint
from tasks.contracts import contract_of
from tasks.decisions import Decision, settlements
from tasks.frames import any_of
from tasks.heads import heads
from tasks.judging import judge
from tasks.ledger import delivered
from tasks.ordering import DELETED, merge_key, sequence
from tasks.partitions import Partition
from tasks.silver import Intake
from tasks.spec import SilverSpec, dependencies

OWN, REJECTED, ANEW = "_own", "_rejected", "_anew"


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


def applies(staged: Staged) -> bool:
    """Whether the attempt restates a part of a table that is fed row by row."""
    return staged.position is not None


def stage(bench: Bench, ref: TableRef, partition: Partition, note: Mapping[str, Any]) -> Staged:
    """Write what a partition's records make of it to the staging folder.

    Args:
        bench: The bench.
        ref: A silver table fed row by row that declares `partition`.
        partition: The part.
        note: Id of the backfill and the partition, for the commit record.

    Raises:
        ConfigurationError: The table was never loaded.
    """
    part = Part(ref, bench.domain.silver[ref.name], partition)
    found = heads(bench, *silver.written(bench, ref))
    head = bench.store.head(ref).record
    if head is None or not head.inputs:
        raise ConfigurationError(
            f"{ref.label} was never loaded, so there is nothing to restate",
            advice=f"Load it first: lakehouse run domain={bench.domain.name}",
        )
    intake = _intake(bench, part, head.inputs)
    contract = contract_of(bench, ref)
    token = fingerprint(ref.label, dict(note), intake.after, intake.rejected_ids, contract)
    staged = Staged(
        table=ref,
        token=token,
        folder=str(backfill_folder(bench, ref, token)),
        inputs=intake.after,
        contract=contract,
        position=dict(head.inputs),
        heads=found,
    )
    staged.clear()
    rows = _judged(bench, part, intake).cache()
    try:
        return _write(bench, part, staged, intake, rows, note)
    finally:
        rows.unpersist()


def staged_rows(bench: Bench, staged: Staged) -> DataFrame:
    """The staged rows that the merge writes."""
    rows = changes.rows_of(bench, staged).where(F.col("_fate") != Fate.unchanged.value)
    return rows.select(*map(quote, plan_of(bench, staged).source_columns))


def plan_of(bench: Bench, staged: Staged) -> MergePlan:
    """The merge plan of an attempt."""
    return plan(bench.domain.silver[staged.table.name], Partition.from_note(staged.notes[NOTE]))


def _intake(bench: Bench, part: Part, consumed: Mapping[str, str]) -> Intake:
    """Bronze and requests as consumed, the other tables as now; batches are known once rows are counted."""
    labels = dependencies(bench.domain)[part.ref.label]
    after = {label: str(bench.store.head(bench.domain.ref(label)).version) for label in labels}
    source = part.spec.source or ""
    rejected = tuple(Batch(b, 0) for b in decisions.rejected(bench.store, bench.domain.name))
    as_consumed = {
        label: consumed[label] for label in (source, releases.LABEL) if label in consumed
    }
    return Intake({}, after | as_consumed, (), rejected)


def _records(bench: Bench, part: Part, intake: Intake) -> DataFrame:
    source = bench.domain.ref(part.spec.source or "")
    rows = bench.store.read(source, Version(intake.after[source.label]))
    return bronze.declared(bench, source, rows)


def _judged(bench: Bench, part: Part, intake: Intake) -> DataFrame:
    """The partition's records, those of rejected batches marked."""
    inside = _records(bench, part, intake).where(part.bronze)
    return judge(bench, part.ref, _flagged(inside, intake, own=True, anew=False), intake.after)


def _flagged(rows: DataFrame, intake: Intake, *, own: bool | str, anew: bool) -> DataFrame:
    belongs = F.lit(own) if isinstance(own, bool) else F.coalesce(F.expr(own), F.lit(False))
    return rows.select(
        "*",
        belongs.alias(OWN),
        F.col("_batch_id").isin(intake.rejected_ids).alias(REJECTED),
        F.lit(anew).alias(ANEW),
        F.lit(False).alias("_retried"),
    )


def _write(
    bench: Bench,
    part: Part,
    staged: Staged,
    intake: Intake,
    records: DataFrame,
    note: Mapping[str, Any],
) -> Staged:
    ref, spec = part.ref, part.spec
    counted = records.groupBy("_batch_id", REJECTED).count().collect()
    intake = _with_batches(bench, intake, {(r[0], r[1]): r[2] for r in counted})
    target = bench.store.read(ref)
    kept = records.where(f"not {REJECTED}")
    vanished = _vanished(bench, part, staged, target, kept)
    if vanished is not None:
        kept = _with_stand_ins(bench, part, intake, kept, vanished)
    rows = silver.ranked(kept, spec).cache()
    try:
        own = rows.where(OWN)
        counts = accounting.count(own)
        if any(group.rule for group in counts):
            entering = quarantine.entering(quarantine.held_rules(bench, ref, own))
            silver.write(entering, Path(staged.part("quarantine")))
        if quarantine.holds(bench, ref):
            held = quarantine.held_within(bench, ref, part.bronze)
            held = held.join(records.select("_sequence"), "_sequence", "left_semi")
            silver.write(quarantine.leaving(held, own), Path(staged.part("released")))
        fated = _fated(bench, part, staged, intake, rows, target, vanished)
        silver.write(fated, Path(staged.part("rows")))
    finally:
        rows.unpersist()
    fates = accounting.fates(staged)
    accounts = accounting.by_batch(spec, intake.batches, intake.rejected, counts, fates)
    staged = replace(
        staged,
        batches=accounting.with_bad_rows(_whole(bench, part, intake.batches), counts),
        rows=accounting.in_all(spec, accounts, counts, fates),
        notes={
            NOTE: dict(note),
            "rejected": [b.batch_id for b in intake.rejected],
            "releases": staged.count("released"),
            "changes": True,
            ACCOUNTS: accounting.restated(staged),
            **_attempt(bench, staged),
        },
    )
    staged.save()
    return staged


def _whole(bench: Bench, part: Part, batches: Sequence[Batch]) -> tuple[Batch, ...]:
    """The batches with all their rows: a limit is a share of a delivery, not of a part of it."""
    source = bench.domain.ref(part.spec.source or "")
    rows = {file.batch_id: file.rows for file in delivered(bench.store, source)}
    return tuple(replace(b, rows=max(b.rows, rows.get(b.batch_id, 0))) for b in batches)


def _attempt(bench: Bench, staged: Staged) -> dict[str, object]:
    """Id and acceptance of an attempt without any record, for whatever blocks it then."""
    batch_id = f"{staged.table.name}-{staged.token[:12]}"
    settled = settlements(bench.store, bench.domain.name).get(batch_id)
    accepted = settled is not None and settled.decision is Decision.accepted
    return {"batch_id": batch_id, "accepted": accepted}


def _with_batches(bench: Bench, intake: Intake, counted: Mapping[tuple[str, bool], int]) -> Intake:
    decided = settlements(bench.store, bench.domain.name)
    accepted = {b for b, s in decided.items() if s.decision is Decision.accepted}
    rejected = tuple(Batch(b, n) for (b, out), n in counted.items() if out)
    taken = tuple(Batch(b, n, accepted=b in accepted) for (b, out), n in counted.items() if not out)
    return Intake(intake.before, intake.after, taken, rejected)


def _vanished(
    bench: Bench, part: Part, staged: Staged, target: DataFrame, kept: DataFrame
) -> DataFrame | None:
    """Merge keys of rows inside whose record is no longer among the good ones; None where there is none."""
    key = merge_key(part.spec)
    names = [quote(c) for c in dict.fromkeys([*key, "_sequence"])]
    good = kept.where("_rule is null").select(*names)
    gone = target.where(part.table()).join(
        good, list(dict.fromkeys([*key, "_sequence"])), "left_anti"
    )
    silver.write(gone.select(*map(quote, key)).distinct(), Path(staged.part("vanished")))
    if not staged.count("vanished"):
        return None
    return spark_rows(bench.store.session, staged.part("vanished"))


def _with_stand_ins(
    bench: Bench, part: Part, intake: Intake, kept: DataFrame, vanished: DataFrame
) -> DataFrame:
    """For the vanished keys, every record that bronze has of them instead of the partition's."""
    key = merge_key(part.spec)
    taken = _records(bench, part, intake).where(~F.col("_batch_id").isin(intake.rejected_ids))
    every = _flagged(taken, intake, own=part.bronze, anew=True)
    others = judge(bench, part.ref, every, intake.after)
    return kept.join(vanished, key, "left_anti").unionByName(
        others.join(vanished, key, "left_semi").select(*kept.columns)
    )


def _fated(
    bench: Bench,
    part: Part,
    staged: Staged,
    intake: Intake,
    rows: DataFrame,
    target: DataFrame,
    vanished: DataFrame | None,
) -> DataFrame:
    """One row a merge key with what the merge will do with it."""
    spec, merging = part.spec, plan(part.spec, part.partition)
    latest = silver.candidates(bench, part.ref, rows.where("_rule is null"), [OWN, ANEW])
    made = silver.completed(bench, spec, latest, intake.after, staged.token)
    made = made.withColumn(GONE, F.lit(False)).select(
        *map(quote, merging.source_columns), OWN, ANEW
    )
    if vanished is not None:
        left = target.where(part.table()).join(vanished, merge_key(spec), "left_semi")
        left = left.join(made.select(*map(quote, merge_key(spec))), merge_key(spec), "left_anti")
        left = left.select(
            "*", F.lit(True).alias(GONE), F.lit(False).alias(OWN), F.lit(True).alias(ANEW)
        )
        made = made.unionByName(left.select(*made.columns))
    marked = merging.marked(target, made)
    new = F.col(BEFORE).isNull() | F.col(GONE) | _differs(spec)
    fate = (
        F.when(~F.col("_written") | ~new, Fate.unchanged.value)
        .when(F.col(GONE), Fate.removed.value)
        .when(~F.col(OWN), Fate.refreshed.value)
        .otherwise(Fate.published.value)
    )
    columns = [*map(quote, merging.source_columns), BEFORE]
    return marked.select(*columns, OWN, fate.alias("_fate")).where(f"{OWN} or _fate <> 'unchanged'")


def _differs(spec: SilverSpec) -> Any:
    """Whether a row's own values differ from those it meets; who wrote them, and when, does not count."""
    compared = [*spec.columns, *([DELETED] if spec.marks_deleted else [])]
    unlike = [~F.col(quote(c)).eqNullSafe(F.col(f"{BEFORE}.{quote(c)}")) for c in compared]
    order = F.lit(True) if sequence(spec) == ["_sequence"] else F.col(ANEW)
    unlike.append(order & ~F.col("_sequence").eqNullSafe(F.col(f"{BEFORE}._sequence")))
    return any_of(unlike)
