"""Rows kept out of silver, with the rule that each breaks; how they leave, and what is remembered then.

A row enters the quarantine before the silver commit and leaves after it, each in one idempotent commit
keyed by `_sequence`. Which rows a silver commit releases is written down before that commit is made, under
its token: a run that is killed in between leaves released rows in the quarantine, and the next run
removes those written down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.plans import NEVER, MergePlan, differs
from storage.schemas import same_columns, schema
from storage.sql import quote
from storage.types import CommitRecord, TableRef, Version
from tasks.context import Attempt, Context
from tasks.domain.schemas import (
    QUARANTINE_METADATA,
    quarantine_of,
    quarantine_schema,
    released_of,
)
from tasks.notes import Notes
from tasks.records.decisions import rejected
from tasks.records.heads import expected
from tasks.rows.frames import HELD_RULE, RAW, REFERENCE_MISSING

RELEASED_COLUMNS = (
    ("_sequence", "bigint"),
    ("_batch_id", "string"),
    ("_source_file", "string"),
    ("_record_number", "bigint"),
    *QUARANTINE_METADATA,
    ("_released_as", "string"),
    ("_request_id", "string"),
    ("_released_at", "timestamp"),
    ("_run_id", "string"),
    ("_merge_id", "string"),
)
"""Columns of the table of released rows: one row for each stay in quarantine that has ended."""
REQUEST = "_request_id"
ENTER = ".enter"
"""Ending of the token of the commit by which the rows of an attempt enter."""


def _schema(context: Context, ref: TableRef) -> StructType:
    source = context.domain.ref(context.domain.silver[ref.name].source or "")
    return quarantine_schema(context.domain.bronze[source.name])


def holds(context: Context, ref: TableRef) -> bool:
    """Whether the quarantine has any row, from metadata."""
    return context.store.stats(quarantine_of(ref)).rows > 0


def retried(
    context: Context, ref: TableRef, pending: Sequence[str], asked: DataFrame | None
) -> DataFrame | None:
    """Rows to be judged again, as bronze rows with `_held_rule`.

    Args:
        context: The context.
        ref: The table.
        pending: Batches that are not consumed yet: their rows come from bronze.
        asked: `_sequence` and `_request_id` of the rows that a person asks for.
    """
    waits = bool(context.domain.silver[ref.name].references)
    if context.run.rebuild or (asked is None and not waits) or not holds(context, ref):
        return None
    kept = _tried_again(context.store.read(quarantine_of(ref)), asked, waits=waits)
    kept = kept.where(~F.col("_batch_id").isin([*pending, *_rejected(context)]))
    added = {name for name, _ in QUARANTINE_METADATA}
    own = [quote(c) for c in _schema(context, ref).names if c not in added]
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
    context: Context, ref: TableRef, pending: Sequence[str], asked: DataFrame | None
) -> DataFrame:
    """The rows of the quarantine that an attempt judges, with `_request_id`.

    Those of pending batches are there where an attempt was cut off; they are judged as new ones. A rebuild
    judges every row again.

    Args:
        context: The context.
        ref: The table.
        pending: Batches of the attempt, rejected ones included.
        asked: `_sequence` and `_request_id` of the rows that a person asks for.
    """
    kept = context.store.read(quarantine_of(ref))
    if context.run.rebuild:
        return kept.withColumn(REQUEST, F.lit(None).cast("string"))
    waits = bool(context.domain.silver[ref.name].references)
    again = _tried_again(kept, asked, waits=waits).select("_sequence", REQUEST)
    kept = kept.join(again.withColumn("_again", F.lit(True)), "_sequence", "left")
    tried = F.col("_again") & ~F.col("_batch_id").isin(_rejected(context))
    return kept.where(tried | F.col("_batch_id").isin(list(pending))).drop("_again")


def _rejected(context: Context) -> list[str]:
    """Batches whose waiting rows are not tried again."""
    return rejected(context.store, context.domain.name)


def held_within(context: Context, ref: TableRef, condition: str) -> DataFrame:
    """The rows of the quarantine under a condition over the bronze columns, with `_request_id`."""
    kept = context.store.read(quarantine_of(ref)).where(condition)
    return kept.withColumn(REQUEST, F.lit(None).cast("string"))


def held_rules(context: Context, ref: TableRef, rows: DataFrame) -> DataFrame:
    """The rows with `_held_rule`: the rule that the quarantine holds each by, null where it does not."""
    held = context.store.read(quarantine_of(ref)).select(
        "_sequence", F.col("_rule").alias(HELD_RULE)
    )
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
    names = [name for name, _ in RELEASED_COLUMNS if name in gone.columns]
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


def enter(context: Context, attempt: Attempt) -> None:
    """Commit the newly quarantined rows, and other reasons of rows that are there; a repeat adds none.

    A rebuild under other columns replaces them; rows that it will release stay until they leave.
    """
    ref, wanted = quarantine_of(attempt.table), _schema(context, attempt.table)
    checked = expected(context, attempt, ref)
    record = context.step_record(attempt, ENTER.removeprefix("."))
    other = attempt.replace and not same_columns(context.store.columns(ref), wanted)
    flat = _flat(context, attempt, wanted) if attempt.count("quarantine") else None
    if other:
        rows = _by_file(
            context, _aligned(context, ref, wanted, flat), Path(attempt.part("entering"))
        )
        context.store.replace(ref, rows, record, expected=checked)
    elif flat is None:
        return
    elif not holds(context, attempt.table):
        context.store.append(ref, flat, record, expected=checked)
    else:
        plan = MergePlan(
            ("_sequence",), tuple(wanted.names), update_when=differs(["_rule", "_reason"])
        )
        rows = _since_when(flat, context.store.read(ref))
        rows = _by_file(context, rows, Path(attempt.part("entering")))
        context.store.merge(ref, rows, plan, record, expected=checked)


def _flat(context: Context, attempt: Attempt, wanted: StructType) -> DataFrame:
    rows = context.store.rows_of(attempt.part("quarantine"))
    raw = rows.select(f"{RAW}.*").columns
    instant = F.lit(context.run.started_at).cast("timestamp").alias("_quarantined_at")
    metadata = [c for c in wanted.names if c not in raw and c != "_quarantined_at"]
    own = [f"{RAW}.{quote(c)}" for c in raw]
    return rows.select(*own, *metadata, instant).select(*map(quote, wanted.names))


def _aligned(
    context: Context, ref: TableRef, wanted: StructType, flat: DataFrame | None
) -> DataFrame:
    """The quarantine under other columns, with the rows of the attempt."""
    kept = context.store.read(ref)
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


def note_leaving(context: Context, attempt: Attempt) -> None:
    """Write down which rows the silver commit will release; a repeat adds none.

    A note of a commit that was never made is replaced when its row leaves.
    """
    if not attempt.notes.releases:
        return
    ref = released_of(attempt.table)
    context.store.create(ref, schema(RELEASED_COLUMNS))
    rows = (
        context.store.rows_of(attempt.part("released"))
        .withColumn("_released_at", F.lit(context.run.started_at).cast("timestamp"))
        .withColumn("_run_id", F.lit(context.run.run_id))
        .withColumn("_merge_id", F.lit(attempt.token))
    )
    columns = tuple(name for name, _ in RELEASED_COLUMNS)
    plan = MergePlan(("_sequence", "_quarantined_at"), columns, update_when="true")
    record, checked = context.step_record(attempt, "leaving"), context.store.version(ref)
    context.store.merge(ref, rows, plan, record, expected=checked)


def leave(context: Context, attempt: Attempt) -> None:
    """Remove the rows that the silver commit released; a repeat removes none."""
    if attempt.notes.releases:
        checked = expected(context, attempt, quarantine_of(attempt.table))
        _remove(
            context, attempt.table, attempt.token, context.step_record(attempt, "leave"), checked
        )


def release_unfinished(context: Context, ref: TableRef) -> bool:
    """Whether the silver head released rows which the quarantine still holds."""
    head = context.store.head(ref).record
    if head is None or not Notes.of(head).releases:
        return False
    return context.store.find(quarantine_of(ref), f"{head.token}.leave") is None


def finish_release(context: Context, ref: TableRef) -> None:
    """Complete the release of a run that was killed after its silver commit."""
    if not release_unfinished(context, ref):
        return
    head = context.store.head(ref).record
    assert head is not None  # noqa: S101 - release_unfinished has looked
    record = CommitRecord(run_id=context.run.run_id, token=f"{head.token}.leave")
    _remove(context, ref, head.token, record, context.store.version(quarantine_of(ref)))


def undo_entering(context: Context, ref: TableRef) -> None:
    """Take back what an attempt that never made its silver commit has put into the quarantine."""
    entered, *before = context.store.lineage(quarantine_of(ref))
    token = entered.record.token if entered.record is not None else ""
    if not token.endswith(ENTER) or not before:
        return
    newest = context.store.head(ref).committed_at < entered.committed_at
    if newest and context.store.find(ref, token.removesuffix(ENTER)) is None:
        record = before[0].record or CommitRecord(run_id="", token="")
        undo = replace(record, run_id=context.run.run_id, token=f"{token}.undo", rows={}, notes={})
        to, checked = before[0].version, entered.version
        context.store.rollback(quarantine_of(ref), to, undo, expected=checked)


def _remove(
    context: Context, ref: TableRef, token: str, record: CommitRecord, checked: Version
) -> None:
    noted = context.store.read(released_of(ref)).where(F.col("_merge_id") == token)
    plan = MergePlan(
        ("_sequence",), ("_sequence",), update_when=NEVER, delete_when="true", insert_when=NEVER
    )
    path = context.folder(ref, token) / "leaving"
    rows = _by_file(context, noted.select("_sequence"), path)
    context.store.merge(quarantine_of(ref), rows, plan, record, expected=checked)


def _by_file(context: Context, rows: DataFrame, path: Path) -> DataFrame:
    """The rows from Parquet: Spark failed to plan a merge into Iceberg that reads another Iceberg table."""
    return context.store.materialised(rows, path)
