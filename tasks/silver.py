"""Silver tables fed row by row: typed, judged, deduplicated, looked up, merged by key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import pyarrow.dataset as ds
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.plans import MergePlan, refresh_plan, upsert_plan
from storage.schemas import schema
from storage.sql import quote
from storage.types import TableRef, Version
from tasks import quarantine
from tasks.bench import Batch, Bench, Staged, attempt_id, fingerprint, moved, position
from tasks.decisions import Decision, settlements
from tasks.frames import REFERENCE_MISSING, judged, typed
from tasks.ledger import arrived
from tasks.spec import SilverSpec, dependencies

METADATA = (
    ("_sequence", "bigint"),
    ("_batch_id", "string"),
    ("_merge_id", "string"),
    ("_updated_at", "timestamp"),
)
"""`_merge_id` is the token of the merge that last wrote the row: rows changed since a version are those
with the token of a later commit, on both formats, without a change feed."""


def silver_schema(spec: SilverSpec) -> StructType:
    """Declared columns, then the metadata."""
    return schema([*((n, c.type) for n, c in spec.columns.items()), *METADATA])


def plan(spec: SilverSpec) -> MergePlan:
    """How staged rows are merged."""
    columns = [*spec.columns, *(name for name, _ in METADATA)]
    looked_up = [n for n, c in spec.columns.items() if c.lookup is not None]
    if looked_up:
        return refresh_plan(spec.key, columns, "_sequence", looked_up)
    return upsert_plan(spec.key, columns, "_sequence")


class Fate(StrEnum):
    """What a merge does with a staged row."""

    published = "published"
    refreshed = "refreshed"
    unchanged = "unchanged"


class Group(NamedTuple):
    """Rows that are counted together; a superseded row is good, but not the last of its merge key."""

    batch_id: str
    rule: str | None
    retried: bool
    superseded: bool


@dataclass(frozen=True)
class Intake:
    """What an attempt reads: positions before and after, and the deliveries between."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    batches: tuple[Batch, ...]
    rejected: tuple[Batch, ...]

    @property
    def rejected_ids(self) -> list[str]:
        """Batches whose rows are passed over."""
        return [b.batch_id for b in self.rejected]


def stage(bench: Bench, ref: TableRef) -> Staged | None:
    """Write the rows to publish, to quarantine and to release; None when nothing is new."""
    spec = bench.domain.silver[ref.name]
    intake = _intake(bench, ref)
    if intake is None:
        return None
    contract = contract_of(bench, ref)
    rebuilding = [bench.run.run_id] if bench.run.rebuild else []
    token = fingerprint(ref.label, intake.before, intake.after, contract, rebuilding)
    folder = bench.folder(ref, token)
    staged = Staged(
        table=ref,
        token=token,
        folder=str(folder),
        inputs=intake.after,
        contract=contract,
        replace=bench.run.rebuild,
    )
    rows = _ranked(_judged_rows(bench, ref, spec, intake), spec.key).cache()
    try:
        counts = _count(rows)
        good = rows.where("_rule is null")
        if any(group.rule and not group.retried for group in counts):
            _write(rows.where("_rule is not null and not _retried"), folder / "quarantine")
        if quarantine.holds(bench, ref):
            _write(quarantine.to_release(bench, ref, good), folder / "released")
        _write(_effective(bench, ref, spec, good, intake, token), folder / "rows")
    finally:
        rows.unpersist()
    fates = {fate: staged.count("rows", ds.field("_fate") == fate.value) for fate in Fate}
    staged = replace(
        staged,
        batches=_batches(intake, counts),
        rows=_accounting(spec, intake, counts, fates),
        notes={
            "rejected": intake.rejected_ids,
            "releases": staged.count("released"),
            **_attempt(bench, ref, intake, contract),
        },
    )
    staged.save()
    return staged


def _attempt(bench: Bench, ref: TableRef, intake: Intake, contract: str) -> dict[str, object]:
    """Id and acceptance of an attempt without deliveries: looked-up rows or released ones only."""
    if intake.batches:
        return {}
    batch_id = attempt_id(ref, intake.after, contract)
    settled = settlements(bench.store, bench.domain.name).get(batch_id)
    accepted = settled is not None and settled.decision is Decision.accepted
    return {"batch_id": batch_id, "accepted": accepted}


def staged_rows(bench: Bench, staged: Staged) -> DataFrame:
    """The staged rows that the merge inserts or updates."""
    columns = plan(bench.domain.silver[staged.table.name]).columns
    rows = bench.store.session.read.parquet(staged.part("rows"))
    return rows.where(F.col("_fate") != Fate.unchanged.value).select(*map(quote, columns))


def contract_of(bench: Bench, ref: TableRef) -> str:
    """Fingerprint of what gives the table its meaning: declarations and SQL."""
    spec = bench.domain.silver[ref.name]
    texts = [bench.sql(path) for path in (spec.reduce, spec.events) if path]
    return fingerprint(spec.key, spec.columns, spec.samples, spec.rules, spec.track, texts)


def _intake(bench: Bench, ref: TableRef) -> Intake | None:
    spec = bench.domain.silver[ref.name]
    assert spec.source is not None  # noqa: S101 - validated with the domain
    before = position(bench, ref)
    labels = dependencies(bench.domain)[ref.label]
    quarantine.finish_release(bench, ref)
    if not any(moved(bench, bench.domain.ref(label), before.get(label)) for label in labels):
        return None
    after = {label: str(bench.store.head(bench.domain.ref(label)).version) for label in labels}
    pending = _pending(bench, spec.source, before.get(spec.source), after[spec.source])
    decided = settlements(bench.store, bench.domain.name)
    decision = {b: s.decision for b, s in decided.items()}
    return Intake(
        before,
        after,
        tuple(
            Batch(b, n, accepted=decision.get(b) is Decision.accepted)
            for b, n in pending.items()
            if decision.get(b) is not Decision.rejected
        ),
        tuple(Batch(b, n) for b, n in pending.items() if decision.get(b) is Decision.rejected),
    )


def _pending(bench: Bench, source: str, after: str | None, until: str) -> dict[str, int]:
    """Rows of each delivery that bronze recorded after a position, by batch id."""
    found: dict[str, int] = {}
    for entry in bench.store.since(bench.domain.ref(source), Version(after) if after else None):
        for file in entry.record.files if entry.record else ():
            found[file.batch_id] = file.rows
        if entry.version == until:
            break
    return found


def _judged_rows(bench: Bench, ref: TableRef, spec: SilverSpec, intake: Intake) -> DataFrame:
    source = bench.domain.ref(spec.source or "")
    columns = bench.domain.bronze[source.name].columns
    after, until = intake.before.get(source.label), Version(intake.after[source.label])
    if after is None:
        fresh = bench.store.read(source, until)
    else:
        fresh = arrived(bench.store, source, Version(after), until)
    if intake.rejected:
        fresh = fresh.where(~F.col("_batch_id").isin(intake.rejected_ids))
    fresh = fresh.withColumn("_retried", F.lit(False))
    waiting = quarantine.waiting(bench, ref, [b.batch_id for b in intake.batches])
    if waiting is not None:
        fresh = fresh.unionByName(waiting.withColumn("_retried", F.lit(True)))
    rows = judged(typed(fresh, spec.row_columns, columns), spec)
    for name, reference in spec.references.items():
        rows = _missing_reference(bench, rows, name, spec, intake, reference.table)
    return rows


def _missing_reference(
    bench: Bench, rows: DataFrame, name: str, spec: SilverSpec, intake: Intake, table: str
) -> DataFrame:
    by = spec.references[name].by
    parent = bench.store.read(bench.domain.ref(table), Version(intake.after[table]))
    keys = parent.select(
        *[F.col(quote(theirs)).alias(f"_parent_{own}") for own, theirs in by.items()],
        F.lit(True).alias("_found"),
    ).distinct()
    pairs = [F.col(quote(own)).eqNullSafe(F.col(f"_parent_{own}")) for own in by]
    joined = rows.join(keys, reduce(lambda a, b: a & b, pairs), "left")
    absent = F.col("_rule").isNull() & F.col("_found").isNull()
    own = next(iter(by))
    reason = F.concat(
        F.lit(f"{own}: '"), F.col(quote(own)), F.lit(f"' is not in {table} yet (record "),
        F.col("_record_number"), F.lit(" of "), F.col("_source_file"), F.lit(")"),
    )  # fmt: skip
    return (
        joined.withColumn("_reason", F.when(absent, reason).otherwise(F.col("_reason")))
        .withColumn("_rule", F.when(absent, REFERENCE_MISSING).otherwise(F.col("_rule")))
        .drop("_found", *[f"_parent_{own}" for own in by])
    )


def _effective(
    bench: Bench, ref: TableRef, spec: SilverSpec, good: DataFrame, intake: Intake, token: str
) -> DataFrame:
    """One row a merge key with its `_fate`: what the merge will do with it."""
    if spec.reduce:
        good.drop("_rank").createOrReplaceTempView("rows")
        candidates = bench.store.session.sql(bench.sql(spec.reduce))
    else:
        candidates = good.where("_rank = 1")
    columns = [n for n, c in spec.columns.items() if c.lookup is None]
    rows = candidates.select(
        *map(quote, columns), "_sequence", "_batch_id", F.lit(False).alias("_refreshed")
    )
    first = bench.run.rebuild or bench.store.head(ref).record is None
    target = None if first else bench.store.read(ref)
    if target is not None:
        stale = _stale(bench, target, spec, intake)
        if stale is not None:
            fresh_keys = rows.select(*map(quote, spec.key))
            stale = stale.join(fresh_keys, spec.key, "left_anti")
            rows = rows.unionByName(
                stale.select(
                    *map(quote, columns), "_sequence", "_batch_id", F.lit(True).alias("_refreshed")
                )
            )
    rows = _looked_up(bench, rows, spec, intake)
    rows = rows.withColumn("_merge_id", F.lit(token)).withColumn(
        "_updated_at", F.lit(bench.run.started_at).cast("timestamp")
    )
    complete = rows.select(*[quote(n) for n in plan(spec).columns], "_refreshed")
    if target is None:
        return complete.select("*", F.lit(Fate.published.value).alias("_fate"))
    written = (
        F.when(~F.col("_written"), Fate.unchanged.value)
        .when(F.col("_refreshed"), Fate.refreshed.value)
        .otherwise(Fate.published.value)
    )
    marked = plan(spec).marked(target, complete).where("_written or not _refreshed")
    return marked.select("*", written.alias("_fate"))


def _stale(bench: Bench, target: DataFrame, spec: SilverSpec, intake: Intake) -> DataFrame | None:
    """Target rows whose looked-up row changed since the table last looked."""
    parts: list[DataFrame] = []
    for join in spec.lookups.values():
        seen = intake.before.get(join.table)
        table = bench.domain.ref(join.table)
        if seen is None or not moved(bench, table, seen):
            continue
        until = Version(intake.after[join.table])
        newer = bench.store.since(table, Version(seen))
        tokens = [entry.record.token for entry in newer if entry.record is not None]
        changed = bench.store.read(table, until)
        if all(entry.record is not None and entry.restored is None for entry in newer):
            changed = changed.where(F.col("_merge_id").isin(tokens))
        keys = changed.select(
            *[F.col(quote(theirs)).alias(own) for own, theirs in join.by.items()]
        ).distinct()
        parts.append(target.join(keys, list(join.by), "left_semi"))
    if not parts:
        return None
    return reduce(DataFrame.unionByName, parts).dropDuplicates(spec.key)


def _looked_up(bench: Bench, rows: DataFrame, spec: SilverSpec, intake: Intake) -> DataFrame:
    for name, join in spec.lookups.items():
        wanted = {
            column: c.lookup.split(".", 1)[1]
            for column, c in spec.columns.items()
            if c.lookup is not None and c.lookup.split(".", 1)[0] == name
        }
        version = Version(intake.after[join.table])
        other = bench.store.read(bench.domain.ref(join.table), version).select(
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


def _ranked(rows: DataFrame, key: list[str]) -> DataFrame:
    """Add `_rank`: 1 for the good row of each merge key that is last in sequence."""
    latest = Window.partitionBy(*[quote(k) for k in key]).orderBy(
        F.col("_rule").isNull().desc(), F.col("_sequence").desc()
    )
    return rows.withColumn("_rank", F.row_number().over(latest))


def _count(rows: DataFrame) -> Counter[Group]:
    superseded = (F.col("_rule").isNull() & (F.col("_rank") > 1)).alias("_superseded")
    grouped = rows.groupBy("_batch_id", "_rule", "_retried", superseded).count().collect()
    return Counter(
        {Group(r["_batch_id"], r["_rule"], r["_retried"], r["_superseded"]): r["count"]
         for r in grouped}
    )  # fmt: skip


def _write(rows: DataFrame, folder: Path) -> None:
    rows.write.mode("overwrite").parquet(str(folder))


def _batches(intake: Intake, counts: Counter[Group]) -> tuple[Batch, ...]:
    def failed(batch: Batch, *, waiting: bool) -> int:
        return sum(
            n
            for group, n in counts.items()
            if group.batch_id == batch.batch_id
            and group.rule is not None
            and not group.retried
            and (group.rule == REFERENCE_MISSING) is waiting
        )

    return tuple(
        Batch(b.batch_id, b.rows, failed(b, waiting=False), failed(b, waiting=True), b.accepted)
        for b in intake.batches
    )


def _accounting(
    spec: SilverSpec, intake: Intake, counts: Counter[Group], fates: Mapping[Fate, int]
) -> dict[str, int]:
    """What became of the rows; each count is measured, none is what is left over."""

    def count(condition: Callable[[Group], bool]) -> int:
        return sum(n for group, n in counts.items() if condition(group))

    rejected = sum(b.rows for b in intake.rejected)
    rows = {
        "ingested": sum(b.rows for b in intake.batches) + rejected,
        "read": count(lambda g: not g.retried) + rejected,
        "released": count(lambda g: g.retried and g.rule is None),
        "published": fates[Fate.published],
        "refreshed": fates[Fate.refreshed],
        "quarantined": count(lambda g: g.rule is not None and not g.retried),
        "waiting": count(lambda g: g.rule == REFERENCE_MISSING and not g.retried),
        "rejected": rejected,
    }
    superseded = count(lambda g: g.superseded)
    if spec.reduce:
        good = count(lambda g: g.rule is None)
        return rows | {
            "folded": good,
            "keys": good - superseded,
            "unchanged": fates[Fate.unchanged],
        }
    return rows | {"deduplicated": superseded + fates[Fate.unchanged]}
