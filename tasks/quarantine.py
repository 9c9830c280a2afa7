"""Rows kept out of silver, with the rule that each breaks; how they leave, and what is remembered then.

A row enters the quarantine before the silver commit and leaves after it, each in one idempotent commit
keyed by `_sequence`. Which rows a silver commit releases is written down before that commit is made, under
its token: a run killed between the two leaves a superset, which the next run settles from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.parquet_reading import spark_rows
from storage.plans import NEVER, MergePlan, differs
from storage.schemas import same_columns, schema
from storage.sql import quote
from storage.types import CommitRecord, TableRef, Version
from tasks.bench import Bench, Staged
from tasks.bronze import bronze_schema
from tasks.decisions import rejected
from tasks.frames import HELD_RULE, RAW, REFERENCE_MISSING
from tasks.heads import expected
from tasks.spec import EVENTS, SourceSpec

ADDED = (("_rule", "string"), ("_reason", "string"), ("_quarantined_at", "timestamp"))
LEFT = (
    ("_sequence", "bigint"),
    ("_batch_id", "string"),
    ("_source_file", "string"),
    ("_record_number", "bigint"),
    *ADDED,
    ("_released_as", "string"),
    ("_request_id", "string"),
    ("_released_at", "timestamp"),
    ("_run_id", "string"),
    ("_merge_id", "string"),
)
"""Columns of the history: one row a stay in quarantine that has ended."""
REQUEST = "_request_id"
ENTER = ".enter"
"""Ending of the token of the commit by which the rows of an attempt enter."""


def table(ref: TableRef) -> TableRef:
    """The quarantine of a silver table: `<table>__quarantine` beside it, also of rows kept as its events."""
    return TableRef(ref.domain, ref.layer, f"{ref.name.removesuffix(EVENTS)}__quarantine")


def history(ref: TableRef) -> TableRef:
    """Where the stays that have ended are kept: `<table>__released`, made when the first row leaves."""
    return TableRef(ref.domain, ref.layer, f"{ref.name.removesuffix(EVENTS)}__released")


def quarantine_schema(source: SourceSpec) -> StructType:
    """The bronze columns, then rule, reason and instant."""
    bronze = [(f.name, f.dataType.simpleString()) for f in bronze_schema(source).fields]
    return schema([*bronze, *ADDED])


def _schema(bench: Bench, ref: TableRef) -> StructType:
    source = bench.domain.ref(bench.domain.silver[ref.name].source or "")
    return quarantine_schema(bench.domain.bronze[source.name])


def holds(bench: Bench, ref: TableRef) -> bool:
    """Whether the quarantine has any row, from metadata."""
    return bench.store.stats(table(ref)).rows > 0


def retried(
    bench: Bench, ref: TableRef, pending: Sequence[str], asked: DataFrame | None
) -> DataFrame | None:
    """Rows to be judged again, as bronze rows with `_held_rule`.

    Args:
        bench: The bench.
        ref: The table.
        pending: Batches that are not consumed yet: their rows come from bronze.
        asked: `_sequence` and `_request_id` of the rows that a person asks for.
    """
    waits = bool(bench.domain.silver[ref.name].references)
    if bench.run.rebuild or (asked is None and not waits) or not holds(bench, ref):
        return None
    kept = _tried_again(bench.store.read(table(ref)), asked, waits=waits)
    kept = kept.where(~F.col("_batch_id").isin([*pending, *_rejected(bench)]))
    added = {name for name, _ in ADDED}
    own = [quote(c) for c in _schema(bench, ref).names if c not in added]
    return kept.select(*own, F.col("_rule").alias(HELD_RULE))


def _tried_again(kept: DataFrame, asked: DataFrame | None, *, waits: bool) -> DataFrame:
    """The rows that are judged again, with `_request_id`."""
    kept = (
        kept.withColumn(REQUEST, F.lit(None).cast("string"))
        if asked is None
        else kept.join(asked, "_sequence", "left")
    )
    chosen = F.col(REQUEST).isNotNull()
    return kept.where(chosen | (F.col("_rule") == REFERENCE_MISSING) if waits else chosen)


def reconsidered(
    bench: Bench, ref: TableRef, pending: Sequence[str], asked: DataFrame | None
) -> DataFrame:
    """The rows of the quarantine that an attempt judges, with `_request_id`.

    Those of pending batches are there where an attempt was cut off; they are judged as new ones. A rebuild
    judges every row anew.

    Args:
        bench: The bench.
        ref: The table.
        pending: Batches of the attempt, rejected ones included.
        asked: `_sequence` and `_request_id` of the rows that a person asks for.
    """
    kept = bench.store.read(table(ref))
    if bench.run.rebuild:
        return kept.withColumn(REQUEST, F.lit(None).cast("string"))
    waits = bool(bench.domain.silver[ref.name].references)
    again = _tried_again(kept, asked, waits=waits).select("_sequence", REQUEST)
    kept = kept.join(again.withColumn("_again", F.lit(True)), "_sequence", "left")
    tried = F.col("_again") & ~F.col("_batch_id").isin(_rejected(bench))
    return kept.where(tried | F.col("_batch_id").isin(list(pending))).drop("_again")


def _rejected(bench: Bench) -> list[str]:
    """Batches whose waiting rows are not tried again."""
    return rejected(bench.store, bench.domain.name)


def held_within(bench: Bench, ref: TableRef, condition: str) -> DataFrame:
    """The rows of the quarantine under a condition over the bronze columns, with `_request_id`."""
    kept = bench.store.read(table(ref)).where(condition)
    return kept.withColumn(REQUEST, F.lit(None).cast("string"))


def held_rules(bench: Bench, ref: TableRef, rows: DataFrame) -> DataFrame:
    """The rows with `_held_rule`: the rule that the quarantine holds each by, null where it does not."""
    held = bench.store.read(table(ref)).select("_sequence", F.col("_rule").alias(HELD_RULE))
    return rows.join(held, "_sequence", "left")


def entering(rows: DataFrame) -> DataFrame:
    """Judged rows that enter the quarantine, or are there for another rule; `_held_rule` says by which."""
    held = F.col(HELD_RULE)
    return rows.where(F.col("_rule").isNotNull() & (held.isNull() | (F.col("_rule") != held)))


def leaving(kept: DataFrame, rows: DataFrame) -> DataFrame:
    """Rows that leave the quarantine because they are not bad any more, and as what.

    Args:
        kept: The rows of the quarantine that the attempt judges, with `_request_id`.
        rows: The judged rows of the attempt.
    """
    bad = rows.where("_rule is not null").select("_sequence")
    good = rows.where("_rule is null").select("_sequence", "_let_in")
    gone = kept.join(bad, "_sequence", "left_anti").join(good, "_sequence", "left")
    names = [name for name, _ in LEFT if name in gone.columns]
    return gone.select(*names, _released_as().alias("_released_as"))


def _released_as() -> Column:
    return (
        F.when(F.col("_let_in"), "waived")
        .when(F.col(REQUEST).isNotNull(), "released")
        .when(
            F.col("_let_in").isNotNull() & (F.col("_rule") == REFERENCE_MISSING),
            "reference_arrived",
        )
        .otherwise("judged_anew")
    )


def enter(bench: Bench, staged: Staged) -> None:
    """Commit the newly quarantined rows, and other reasons of rows that are there; a repeat adds none.

    A rebuild under other columns replaces them; rows that it will release stay until they leave.
    """
    ref, wanted = table(staged.table), _schema(bench, staged.table)
    checked = expected(bench, staged, ref)
    record = bench.step_record(staged, ENTER.removeprefix("."))
    other = staged.replace and not same_columns(bench.store.columns(ref), wanted)
    flat = _flat(bench, staged, wanted) if staged.count("quarantine") else None
    if other:
        rows = _by_file(bench, _aligned(bench, ref, wanted, flat), Path(staged.part("entering")))
        bench.store.replace(ref, rows, record, expected=checked)
    elif flat is None:
        return
    elif not holds(bench, staged.table):
        bench.store.append(ref, flat, record, expected=checked)
    else:
        plan = MergePlan(
            ("_sequence",), tuple(wanted.names), update_when=differs(["_rule", "_reason"])
        )
        rows = _since_when(flat, bench.store.read(ref))
        rows = _by_file(bench, rows, Path(staged.part("entering")))
        bench.store.merge(ref, rows, plan, record, expected=checked)


def _flat(bench: Bench, staged: Staged, wanted: StructType) -> DataFrame:
    rows = spark_rows(bench.store.session, staged.part("quarantine"))
    raw = rows.select(f"{RAW}.*").columns
    instant = F.lit(bench.run.started_at).cast("timestamp").alias("_quarantined_at")
    metadata = [c for c in wanted.names if c not in raw and c != "_quarantined_at"]
    own = [f"{RAW}.{quote(c)}" for c in raw]
    return rows.select(*own, *metadata, instant).select(*map(quote, wanted.names))


def _aligned(bench: Bench, ref: TableRef, wanted: StructType, flat: DataFrame | None) -> DataFrame:
    """The quarantine under other columns, with the rows of the attempt."""
    kept = bench.store.read(ref)
    columns = [
        (F.col(quote(f.name)) if f.name in kept.columns else F.lit(None))
        .cast(f.dataType)
        .alias(f.name)
        for f in wanted.fields
    ]
    held = kept.select(*columns)
    if flat is None:
        return held
    fresh = _since_when(flat, kept)
    return held.join(fresh.select("_sequence"), "_sequence", "left_anti").unionByName(fresh)


def _since_when(rows: DataFrame, kept: DataFrame) -> DataFrame:
    """The rows with the instant at which each entered, where it is in quarantine already."""
    entered = kept.select("_sequence", F.col("_quarantined_at").alias("_entered"))
    instant = F.coalesce("_entered", "_quarantined_at")
    joined = rows.join(entered, "_sequence", "left")
    return joined.withColumn("_quarantined_at", instant).select(*map(quote, rows.columns))


def note_leaving(bench: Bench, staged: Staged) -> None:
    """Write down which rows the silver commit will release; a repeat adds none.

    A note of a commit that was never made is replaced when its row leaves.
    """
    if not staged.notes.get("releases"):
        return
    ref = history(staged.table)
    bench.store.create(ref, schema(LEFT))
    rows = (
        spark_rows(bench.store.session, staged.part("released"))
        .withColumn("_released_at", F.lit(bench.run.started_at).cast("timestamp"))
        .withColumn("_run_id", F.lit(bench.run.run_id))
        .withColumn("_merge_id", F.lit(staged.token))
    )
    columns = tuple(name for name, _ in LEFT)
    plan = MergePlan(("_sequence", "_quarantined_at"), columns, update_when="true")
    record, checked = bench.step_record(staged, "leaving"), bench.store.version(ref)
    bench.store.merge(ref, rows, plan, record, expected=checked)


def leave(bench: Bench, staged: Staged) -> None:
    """Remove the rows that the silver commit released; a repeat removes none."""
    if staged.notes.get("releases"):
        checked = expected(bench, staged, table(staged.table))
        _remove(bench, staged.table, staged.token, bench.step_record(staged, "leave"), checked)


def unsettled(bench: Bench, ref: TableRef) -> bool:
    """Whether the silver head released rows which the quarantine still holds."""
    head = bench.store.head(ref).record
    if head is None or not head.notes.get("releases"):
        return False
    return bench.store.find(table(ref), f"{head.token}.leave") is None


def finish_release(bench: Bench, ref: TableRef) -> None:
    """Complete the release of a run that was killed after its silver commit."""
    if not unsettled(bench, ref):
        return
    head = bench.store.head(ref).record
    assert head is not None  # noqa: S101 - unsettled has looked
    record = CommitRecord(run_id=bench.run.run_id, token=f"{head.token}.leave")
    _remove(bench, ref, head.token, record, bench.store.version(table(ref)))


def undo_entering(bench: Bench, ref: TableRef) -> None:
    """Take back what an attempt that never made its silver commit has put into the quarantine."""
    entered, *before = bench.store.lineage(table(ref))
    token = entered.record.token if entered.record is not None else ""
    if not token.endswith(ENTER) or not before:
        return
    newest = bench.store.head(ref).committed_at < entered.committed_at
    if newest and bench.store.find(ref, token.removesuffix(ENTER)) is None:
        record = before[0].record or CommitRecord(run_id="", token="")
        undo = replace(record, run_id=bench.run.run_id, token=f"{token}.undo", rows={}, notes={})
        to, checked = before[0].version, entered.version
        bench.store.rollback(table(ref), to, undo, expected=checked)


def _remove(
    bench: Bench, ref: TableRef, token: str, record: CommitRecord, checked: Version
) -> None:
    noted = bench.store.read(history(ref)).where(F.col("_merge_id") == token)
    plan = MergePlan(
        ("_sequence",), ("_sequence",), update_when=NEVER, delete_when="true", insert_when=NEVER
    )
    path = bench.folder(ref, token) / "leaving"
    rows = _by_file(bench, noted.select("_sequence"), path)
    bench.store.merge(table(ref), rows, plan, record, expected=checked)


def _by_file(bench: Bench, rows: DataFrame, path: Path) -> DataFrame:
    """The rows from Parquet: Spark failed to plan a merge into Iceberg that reads another Iceberg table."""
    rows.write.mode("overwrite").parquet(str(path))
    return spark_rows(bench.store.session, path)
