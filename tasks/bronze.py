"""Ingestion: what a source newly delivers becomes rows of an append-only bronze table.

This is the only place that knows both the ledger and the staging folder; readers know neither.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.errors import InputError
from storage.parquet_reading import spark_rows
from storage.schemas import schema
from storage.sql import quote
from storage.types import SourceFile, TableRef
from tasks import drift, ledger
from tasks.bench import Batch, Bench, Problem, Staged, attempts, fingerprint
from tasks.decisions import Decision, Settlement, settlements
from tasks.drift import Drift
from tasks.frames import KEPT, is_sourced, rescued, suspect
from tasks.heads import heads
from tasks.ledger import delivered, last_delivery
from tasks.sources.garbage import collector_paused
from tasks.sources.hashing import record_hash
from tasks.sources.reader import Offer, Reader, Request, StagedFile
from tasks.sources.registry import reader_of
from tasks.spec import DomainSpec, DriftMode, Rounding, SourceSpec

METADATA = (
    ("_ingested_at", "timestamp"),
    ("_ingestion_date", "date"),
    ("_source", "string"),
    ("_source_file", "string"),
    ("_batch_id", "string"),
    ("_record_hash", "string"),
    ("_quality_flag", "string"),
    ("_rescued", "string"),
    ("_file_hash", "string"),
    ("_delivery", "int"),
    ("_record_number", "bigint"),
    ("_sequence", "bigint"),
)
FILES = "files"
"""Folder of an attempt with a Parquet file of records for each delivery, named by its number."""
RECORDS_PER_DELIVERY = 10_000_000_000
"""`_sequence` = delivery x this + record number: later delivery first, then later record."""


@dataclass(frozen=True)
class Offered:
    """A delivery that the ledger does not hold, with the id that a person settles it by."""

    offer: Offer
    batch_id: str


def bronze_schema(source: SourceSpec) -> StructType:
    """Columns of the bronze table: the source's as text, then the metadata."""
    return schema([*((c, "string") for c in source.columns), *METADATA])


def offered(bench: Bench, ref: TableRef) -> list[Offered] | None:
    """Deliveries to take in, in their order; None where only a session with Spark can tell."""
    source = bench.domain.bronze[ref.name]
    known = delivered(bench.store, ref)
    reader = reader_of(source)
    offers = reader.offers(_request(bench, ref, reader, known))
    if offers is None:
        return None
    decided = settlements(bench.store, bench.domain.name)
    times = Counter(file.sha256 for file in known)
    found = []
    for offer in offers:  # `again` may name two files of one content
        found.append(Offered(offer, _batch_id(ref, offer.sha256, times[offer.sha256])))
        times[offer.sha256] += 1
    return [o for o in found if not _kept_out(source, decided.get(o.batch_id), o.offer.returns)]


def news(bench: Bench, ref: TableRef) -> bool:
    """Whether anything is offered, from metadata; True where only Spark can tell."""
    found = offered(bench, ref)
    return found is None or bool(found)


def batch_ids(bench: Bench, ref: TableRef) -> set[str]:
    """Every delivery that a person may settle: taken in, offered, or staged and blocked."""
    store = bench.store
    history = store.history(ref) if store.exists(ref) else []
    ids = {f.batch_id for entry in history if entry.record for f in entry.record.files}
    ids |= {found.batch_id for found in offered(bench, ref) or ()}
    return ids | {batch.batch_id for staged in _attempts(bench, ref) for batch in staged.batches}


def never_delivered(bench: Bench, ref: TableRef) -> bool:
    """Whether nothing was ever taken in."""
    return not bench.store.exists(ref) or bench.store.stats(ref).rows == 0


def missing(bench: Bench, ref: TableRef) -> str:
    """What a source without any delivery waits for."""
    reader = reader_of(bench.domain.bronze[ref.name])
    return f"nothing delivered yet: {reader.waits_for(bench.landing)}"


def stage(bench: Bench, ref: TableRef) -> Staged | None:
    """Read what is new record by record into the staging folder; None when there is nothing."""
    before = heads(bench, ref)
    settled = _settled_attempt(bench, ref)
    if settled is not None:
        return replace(settled, heads=before)
    found = offered(bench, ref)
    if not found:
        if never_delivered(bench, ref) and bench.domain.bronze[ref.name].required:
            raise InputError(missing(bench, ref), advice="Deliver it, then run again.")
        return None
    source = bench.domain.bronze[ref.name]
    position = _position(bench, ref)
    token = fingerprint(ref.label, [o.batch_id for o in found], *position.values())
    folder = bench.folder(ref, token)
    decided = settlements(bench.store, bench.domain.name)
    first = last_delivery(bench.store, ref) + 1
    shutil.rmtree(folder, ignore_errors=True)  # what an attempt that was cut off has left
    taken = _take(bench, ref, found, folder, first, set(decided))
    rows = sum(f.rows for f in taken.files)
    staged = Staged(
        table=ref,
        token=token,
        folder=str(folder),
        files=tuple(taken.files),
        batches=tuple(
            Batch(
                f.batch_id,
                f.rows,
                accepted=f.batch_id in decided,
                returns=f.batch_id in taken.returning,
            )
            for f in taken.files
        ),
        problems=tuple(taken.problems),
        rows={"ingested": rows + taken.skipped, "published": rows}
        | ({"deduplicated": taken.skipped} if taken.skipped else {}),
        contract=_contract(source),
        heads=before,
        notes=position | _advanced(source, found[-1].offer) | _noted(bench, ref, taken),
    )
    staged.save()
    return staged


@dataclass
class _Taken:
    """Deliveries that were read, reasons against those that were not, and records left out.

    Attributes:
        delivered: Columns and types of the last delivery.
        drifts: How deliveries differ from what is expected, and the mode each was taken in with.
        returning: Batches that are found again when they are rejected.
    """

    files: list[SourceFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: int = 0
    delivered: Mapping[str, str] = field(default_factory=dict)
    drifts: list[tuple[Drift, DriftMode]] = field(default_factory=list)
    returning: set[str] = field(default_factory=set)


def _take(
    bench: Bench, ref: TableRef, found: Sequence[Offered], folder: Path, first: int,
    decided: Set[str],
) -> _Taken:  # fmt: skip
    """Read each delivery into the folder, numbered from `first`."""
    source, held = bench.domain.bronze[ref.name], evolved_columns(bench, ref)
    reader, taken = reader_of(source), _Taken(delivered=_last_delivered(bench, ref))
    for one in found:
        offer, delivery = one.offer, first + len(taken.files)
        size = offer.path.stat().st_size if offer.bytes is None else offer.bytes
        try:
            with collector_paused():
                parsed = reader.stage(offer, _file(folder, delivery))
        except InputError as error:
            taken.problems.append(Problem(one.batch_id, offer.name, str(error), acceptable=False))
            continue
        accepted = one.batch_id in decided
        differs = _drift(source, held, one.batch_id, parsed, taken.delivered)
        mode = DriftMode.rescue if accepted and source.drift is DriftMode.freeze else source.drift
        if differs.is_news(taken.delivered, mode):
            taken.drifts.append((differs, mode))
        blocks = differs.difference if mode is DriftMode.freeze else "; ".join(differs.breaking)
        reasons = [f"the {reader.shape} {blocks}"] if blocks else []
        reasons += [offer.concern] if offer.concern else []
        taken.returning |= {one.batch_id} if offer.returns else set()
        if reasons and not accepted:
            text = f"{one.offer.name}: {'; '.join(reasons)}"
            taken.problems.append(Problem(one.batch_id, one.offer.name, text, acceptable=True))
        if source.drift is DriftMode.evolve:
            # as from the next run on: later deliveries of this one are expected to have them
            held += filter(drift.can_be_column, differs.unknown)
        taken.delivered = differs.after
        taken.skipped += parsed.skipped
        taken.files.append(
            SourceFile(
                offer.name, offer.sha256, size, parsed.rows, one.batch_id, delivery, offer.mark
            )
        )
    return taken


def _request(bench: Bench, ref: TableRef, reader: Reader, known: Sequence[SourceFile]) -> Request:
    holds = bench.store.exists(ref) and bench.store.stats(ref).rows > 0
    return Request(
        table=ref.name,
        landing=bench.landing,
        scratch=bench.folder(ref, "extraction"),
        seen=bench.staging / "_seen" / f"{ref.path}.json",
        again=frozenset(bench.run.again),
        taken=known,
        position=_reached(bench, ref, reader),
        session=bench.store.session if bench.store.has_session else None,
        held=(lambda: bench.store.read(ref)) if holds else None,
    )


def _position(bench: Bench, ref: TableRef) -> dict[str, object]:
    """From where an extraction goes on; nothing for sources whose content is its own identity."""
    reader = reader_of(bench.domain.bronze[ref.name])
    if reader.lasting:
        return {}
    after = [len(delivered(bench.store, ref)), _reached(bench, ref, reader)]
    return {"position": fingerprint(ref.label, after)}


def _reached(bench: Bench, ref: TableRef, reader: Reader) -> Mapping[str, Any] | None:
    return ledger.position(bench.store, ref, reader.note) if reader.note else None


def _advanced(source: SourceSpec, offer: Offer) -> dict[str, object]:
    """The position for the commit record: the next run goes on from there."""
    note = reader_of(source).note
    return {note: dict(offer.position)} if note and offer.position is not None else {}


def _contract(source: SourceSpec) -> str:
    mark = source.watermark.column if source.watermark else ""
    topic = [source.kafka.topic] if source.kafka else []
    form = [source.kind, source.format, source.envelope, source.table, source.query, mark, *topic]
    return fingerprint(source.columns, source.delimiter, source.encoding, form)


def _batch_id(ref: TableRef, sha256: str, times: int) -> str:
    """Id of a delivery whose content was taken in so many times before."""
    base = f"{ref.name}-{sha256[:12]}"
    return base if times == 0 else f"{base}-again{times}"


def withdrawn(bench: Bench, staged: Staged) -> list[str]:
    """Batches of an attempt that were rejected after it was staged, and have to stay out."""
    source = bench.domain.bronze[staged.table.name]
    decided = settlements(bench.store, bench.domain.name)
    return [
        b.batch_id for b in staged.batches if _kept_out(source, decided.get(b.batch_id), b.returns)
    ]


def _kept_out(source: SourceSpec, settled: Settlement | None, returns: bool) -> bool:
    """Whether a rejected delivery stays outside bronze.

    What lies below a position is not read again once it has passed: a rejected extraction goes into
    bronze, and silver passes over it. Deletes that a key snapshot found are found again.
    """
    rejected = settled is not None and settled.decision is Decision.rejected
    return rejected and (returns or reader_of(source).note is None)


def _settled_attempt(bench: Bench, ref: TableRef) -> Staged | None:
    """A staged extraction that a person decided on: it is what they saw, so it is not read anew."""
    source = bench.domain.bronze[ref.name]
    position = _position(bench, ref).get("position")
    if position is None:
        return None
    decided = settlements(bench.store, bench.domain.name)
    for staged in _attempts(bench, ref):
        settled = [(decided.get(b.batch_id), b.returns) for b in staged.batches]
        if (
            staged.notes.get("position") == position
            and all(s is not None and not _kept_out(source, s, r) for s, r in settled)
            and all(_file(Path(staged.folder), f.delivery).exists() for f in staged.files)
        ):
            shutil.rmtree(staged.part("rows"), ignore_errors=True)  # of the run that staged it
            batches = tuple(replace(b, accepted=True) for b in staged.batches)
            return replace(staged, batches=batches, problems=())
    return None


def _attempts(bench: Bench, ref: TableRef) -> list[Staged]:
    """Attempts in the staging folder that hold a delivery and were not published."""
    return [staged for staged in attempts(bench, ref) if staged.files]


def _file(folder: Path, delivery: int) -> Path:
    return folder / FILES / f"{delivery:06d}.parquet"


def _drift(
    source: SourceSpec,
    held: Sequence[str],
    batch_id: str,
    parsed: StagedFile,
    last: Mapping[str, str],
) -> Drift:
    own = [c for c in source.columns if c not in (*parsed.missing, *parsed.absent)]
    new = set(parsed.unknown) - {*last, *held}
    gone = [c for c in parsed.absent if c in last and new]
    if parsed.sparse and not new:  # a key that no record names is null, an evolved one too
        last = {c: kind for c, kind in last.items() if c not in held or c in parsed.unknown}
    return drift.found(
        batch_id,
        declared=source.columns,
        held=held,
        last=last,
        delivered=parsed.types or dict.fromkeys([*own, *parsed.unknown], "string"),
        missing=[*parsed.missing, *gone],
        mode=source.drift,
        plain=parsed.plain,
    )


def _noted(bench: Bench, ref: TableRef, taken: _Taken) -> dict[str, object]:
    """The columns delivered, for the commit record: the next delivery is compared with them."""
    source = bench.domain.bronze[ref.name]
    held = {c.lower() for c in [*bronze_schema(source).names,
                                *evolved_columns(bench, ref)]}  # fmt: skip
    new = [c for d, mode in taken.drifts if mode is DriftMode.evolve for c in d.unknown]
    columns = {c.lower(): c for c in reversed(new) if drift.can_be_column(c)}
    added = [c for key, c in columns.items() if key not in held][::-1]
    entries = [drift.entry(d, source.drift.value) for d, _ in taken.drifts]
    return {
        drift.DELIVERED: dict(taken.delivered),
        **({drift.DRIFT: entries} if entries else {}),
        **({drift.EVOLVED: added} if added else {}),
    }


def _last_delivered(bench: Bench, ref: TableRef) -> Mapping[str, str]:
    record = bench.store.head(ref).record if bench.store.exists(ref) else None
    return dict(record.notes.get(drift.DELIVERED, {})) if record is not None else {}


def evolved_columns(bench: Bench, ref: TableRef) -> list[str]:
    """Columns that the bronze table has beyond those declared: it tells itself how it evolved."""
    if not bench.store.exists(ref):
        return []
    declared = set(bronze_schema(bench.domain.bronze[ref.name]).names)
    return [c for c in bench.store.columns(ref).names if c not in declared]


def declared(bench: Bench, ref: TableRef, rows: DataFrame) -> DataFrame:
    """Rows of a bronze table with the columns that the domain declares.

    Iceberg reads a version with the columns of its time, so one that was added since is null.
    """
    wanted = bronze_schema(bench.domain.bronze[ref.name]).fields
    return rows.select(
        *[
            F.col(quote(f.name)) if f.name in rows.columns
            else F.lit(None).cast(f.dataType).alias(f.name)
            for f in wanted
        ]
    )  # fmt: skip


def staged_rows(bench: Bench, staged: Staged) -> DataFrame:
    """The staged records with their metadata columns: computed once, read by the gate and the publication."""
    rows = Path(staged.part("rows"))
    if not (rows / "_SUCCESS").exists():
        _computed_rows(bench, staged).write.mode("overwrite").parquet(str(rows))
    return spark_rows(bench.store.session, rows)


def _computed_rows(bench: Bench, staged: Staged) -> DataFrame:
    ref = staged.table
    source = bench.domain.bronze[ref.name]
    evolved = evolved_columns(bench, ref)
    evolved += [c for c in staged.notes.get(drift.EVOLVED, ()) if c not in evolved]
    wanted = schema([*((c, "string") for c in (*source.columns, *evolved)), *METADATA])
    session = bench.store.session
    if not staged.files:
        return session.createDataFrame([], wanted)
    parts = _delivered_rows(session, source, staged)
    parts = _moved(parts, evolved) if source.drift is DriftMode.evolve else parts.select(
        "*", *[F.lit(None).cast("string").alias(c) for c in evolved]
    )  # fmt: skip
    instant = F.lit(bench.run.started_at).cast("timestamp")
    flagged = F.when(suspect(typed_uses(bench.domain, ref)), "suspect").otherwise("ok")
    complete = parts.select(
        "*",
        instant.alias("_ingested_at"),
        F.to_date(instant).alias("_ingestion_date"),
        F.lit(f"{bench.domain.name}.{ref.name}").alias("_source"),
        record_hash(source.columns).alias("_record_hash"),
        flagged.alias("_quality_flag"),
        (F.col("_delivery") * F.lit(RECORDS_PER_DELIVERY) + F.col("_record_number")).alias(
            "_sequence"
        ),
    )
    return complete.select([quote(f.name) for f in wanted.fields])


def _delivered_rows(session: SparkSession, source: SourceSpec, staged: Staged) -> DataFrame:
    """The records of all files in one scan, each with what is known of its file."""
    folder = Path(staged.folder) / FILES
    columns = schema(
        [
            *((c, "string") for c in source.columns),
            ("_record_number", "bigint"),
            ("_rescued", "string"),
        ]
    )
    records = session.read.schema(columns).parquet(str(folder))
    number = F.regexp_extract("_metadata.file_name", r"^(\d+)", 1).cast("int")
    files = session.createDataFrame(
        pa.table(
            {
                "_delivery": pa.array([f.delivery for f in staged.files], pa.int32()),
                "_source_file": [f.name for f in staged.files],
                "_batch_id": [f.batch_id for f in staged.files],
                "_file_hash": [f.sha256 for f in staged.files],
            }
        )
    )
    numbered = records.select("*", number.alias("_delivery"))
    return numbered.join(F.broadcast(files), "_delivery")


def _moved(rows: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Take columns out of `_rescued`, which keeps only what has no column of its own."""
    if not columns:
        return rows
    others = F.array_except(F.json_object_keys("_rescued"), F.array(*map(F.lit, columns)))
    left = F.when(F.size(others) > 0, F.col("_rescued"))
    kept = rows.select("*", rescued(columns).alias(KEPT))
    values = [f"{KEPT}.{quote(c)}" for c in columns]
    return kept.select("*", *values).withColumn("_rescued", left).drop(KEPT)


def typed_uses(domain: DomainSpec, ref: TableRef) -> list[tuple[str, str, Rounding]]:
    """Source column, type and rounding of every silver column that is typed from this bronze table."""
    return [
        (column.source or name, column.type, column.rounds)
        for silver in domain.silver.values()
        if silver.source == ref.label
        for name, column in silver.row_columns.items()
        if is_sourced(column) and column.type != "string"
    ]
