"""Rows kept out of silver, with the rule that each breaks; some wait and are tried again.

A row enters the quarantine before the silver commit and leaves after it, each in one idempotent commit
keyed by `_sequence`. A run killed between the two leaves a superset, which the next run settles.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.plans import NEVER, MergePlan
from storage.schemas import same_columns, schema
from storage.sql import quote
from storage.types import CommitRecord, TableRef, Version
from tasks.bench import Bench, Staged
from tasks.bronze import bronze_schema
from tasks.frames import RAW, REFERENCE_MISSING, typed
from tasks.spec import EVENTS, SourceSpec

ADDED = (("_rule", "string"), ("_reason", "string"), ("_quarantined_at", "timestamp"))


def table(ref: TableRef) -> TableRef:
    """The quarantine of a silver table: `<table>__quarantine` beside it, also of rows kept as its events."""
    return TableRef(ref.domain, ref.layer, f"{ref.name.removesuffix(EVENTS)}__quarantine")


def quarantine_schema(source: SourceSpec) -> StructType:
    """The bronze columns, then rule, reason and instant."""
    bronze = [(f.name, f.dataType.simpleString()) for f in bronze_schema(source).fields]
    return schema([*bronze, *ADDED])


def _schema(bench: Bench, ref: TableRef) -> StructType:
    source = bench.domain.ref(bench.domain.silver[ref.name].source or "")
    return quarantine_schema(bench.domain.bronze[source.name])


def waiting(bench: Bench, ref: TableRef, pending: Sequence[str]) -> DataFrame | None:
    """Rows that wait for a reference, as bronze rows; those of pending batches come from bronze."""
    references = bench.domain.silver[ref.name].references
    if bench.run.rebuild or not references or not holds(bench, ref):
        return None
    kept = bench.store.read(table(ref)).where(F.col("_rule") == REFERENCE_MISSING)
    if pending:
        kept = kept.where(~F.col("_batch_id").isin(list(pending)))
    added = {name for name, _ in ADDED}
    return kept.select(*[quote(c) for c in _schema(bench, ref).names if c not in added])


def holds(bench: Bench, ref: TableRef) -> bool:
    """Whether the quarantine has any row, from metadata."""
    return bench.store.stats(table(ref)).rows > 0


def to_release(bench: Bench, ref: TableRef, good: DataFrame) -> DataFrame:
    """Rows of the quarantine that are good now."""
    kept = bench.store.read(table(ref)).select("_sequence")
    return kept.join(good.select("_sequence"), "_sequence", "left_semi")


def enter(bench: Bench, staged: Staged) -> None:
    """Commit the newly quarantined rows; a repeat adds none."""
    ref, wanted = table(staged.table), _schema(bench, staged.table)
    count = staged.rows.get("quarantined", 0)
    if not count:
        stale = holds(bench, staged.table) or not same_columns(bench.store.columns(ref), wanted)
        if staged.replace and stale:
            none = bench.store.session.createDataFrame([], wanted)
            bench.store.replace(ref, none, _record(bench, staged, "enter"))
        return
    columns = wanted.names
    rows = bench.store.session.read.parquet(staged.part("quarantine"))
    raw = rows.select(f"{RAW}.*").columns
    instant = F.lit(bench.run.started_at).cast("timestamp").alias("_quarantined_at")
    metadata = [c for c in columns if c not in raw and c != "_quarantined_at"]
    own = [f"{RAW}.{quote(c)}" for c in raw]
    flat = rows.select(*own, *metadata, instant).select(*map(quote, columns))
    record = _record(bench, staged, "enter")
    if staged.replace:
        bench.store.replace(ref, flat, record)
    elif not holds(bench, staged.table):
        bench.store.append(ref, flat, record)
    else:
        plan = MergePlan(("_sequence",), tuple(columns), update_when=NEVER)
        bench.store.merge(ref, flat, plan, record)


def leave(bench: Bench, staged: Staged) -> None:
    """Remove the rows that were published; a repeat removes none."""
    if staged.replace or not staged.notes.get("releases"):
        return
    released = bench.store.session.read.parquet(staged.part("released"))
    _remove(bench, staged.table, released, _record(bench, staged, "leave"))


def unsettled(bench: Bench, ref: TableRef) -> bool:
    """Whether the silver head released rows which the quarantine still holds."""
    head = bench.store.head(ref).record
    if head is None or not head.notes.get("releases"):
        return False
    if not bench.domain.silver[ref.name].references:
        return False
    return bench.store.find(table(ref), f"{head.token}.leave") is None


def finish_release(bench: Bench, ref: TableRef) -> None:
    """Complete the release of a run that was killed after its silver commit.

    The silver commit says which version of the referenced tables it saw, so the rows that it released
    are those which wait for a row that exists there.
    """
    if not unsettled(bench, ref):
        return
    head = bench.store.head(ref).record
    assert head is not None  # noqa: S101 - unsettled has looked
    spec = bench.domain.silver[ref.name]
    held = bench.store.read(table(ref)).where(F.col("_rule") == REFERENCE_MISSING)
    source = bench.domain.bronze[bench.domain.ref(spec.source or "").name]
    kept = typed(held.drop(*[n for n, _ in ADDED]), spec.row_columns, source.columns)
    for reference in spec.references.values():
        version = Version(head.inputs[reference.table])
        parent = bench.store.read(bench.domain.ref(reference.table), version)
        keys = parent.select(
            *[F.col(quote(theirs)).alias(own) for own, theirs in reference.by.items()]
        )
        kept = kept.join(keys, list(reference.by), "left_semi")
    record = CommitRecord(run_id=bench.run.run_id, token=f"{head.token}.leave")
    _remove(bench, ref, kept.select("_sequence"), record)


def _remove(bench: Bench, ref: TableRef, sequences: DataFrame, record: CommitRecord) -> None:
    plan = MergePlan(
        ("_sequence",), ("_sequence",), update_when=NEVER, delete_when="true", insert_when=NEVER
    )
    bench.store.merge(table(ref), sequences, plan, record)


def _record(bench: Bench, staged: Staged, step: str) -> CommitRecord:
    return CommitRecord(
        run_id=bench.run.run_id,
        token=f"{staged.token}.{step}",
        inputs=staged.inputs,
        code=bench.run.code,
        contract=staged.contract,
    )
