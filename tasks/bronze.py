"""Ingestion: files new in the landing folder become rows of an append-only bronze table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.errors import InputError
from storage.schemas import schema
from storage.sql import quote
from storage.types import SourceFile, TableRef
from tasks.bench import Batch, Bench, Problem, Staged, fingerprint
from tasks.decisions import Decision, Settlement, settlements
from tasks.frames import is_sourced, suspect
from tasks.ledger import delivered, last_delivery
from tasks.sources.csv_files import StagedFile, file_sha256, stage_csv
from tasks.spec import DomainSpec, SourceSpec

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
RECORDS_PER_DELIVERY = 10_000_000_000
"""`_sequence` = delivery x this + record number: later delivery first, then later record."""


@dataclass(frozen=True)
class Offered:
    """A file of the landing folder that the ledger does not hold."""

    path: Path
    name: str
    sha256: str
    batch_id: str


def bronze_schema(source: SourceSpec) -> StructType:
    """Columns of the bronze table: the source's as text, then the metadata."""
    return schema([*((c, "string") for c in source.columns), *METADATA])


def offered(bench: Bench, ref: TableRef) -> list[Offered]:
    """Files to take in, in the order of their names; identical content counts once."""
    source = bench.domain.bronze[ref.name]
    known = delivered(bench.store, ref)
    hashes = {f.sha256 for f in known}
    decided = settlements(bench.store, bench.domain.name)
    found: list[Offered] = []
    for path in sorted(bench.landing.rglob(source.pattern), key=lambda p: (p.name, str(p))):
        if not path.is_file():
            continue
        sha256 = file_sha256(path)
        again = str(path) in bench.run.again
        if sha256 in hashes and not again:
            continue
        hashes.add(sha256)
        batch_id = _batch_id(ref, sha256, known if again else [])
        settled = decided.get(batch_id)
        if settled is None or settled.decision is not Decision.rejected:
            name = str(path.relative_to(bench.landing))
            found.append(Offered(path, name, sha256, batch_id))
    return found


def never_delivered(bench: Bench, ref: TableRef) -> bool:
    """Whether no file was ever taken in."""
    return not bench.store.exists(ref) or bench.store.stats(ref).rows == 0


def missing(bench: Bench, ref: TableRef) -> str:
    """What a source without any file waits for."""
    pattern = bench.domain.bronze[ref.name].pattern
    return f"nothing delivered yet: no file {pattern} in {bench.landing}"


def _batch_id(ref: TableRef, sha256: str, known: Iterable[SourceFile]) -> str:
    base = f"{ref.name}-{sha256[:12]}"
    times = sum(1 for file in known if file.sha256 == sha256)
    return base if times == 0 else f"{base}-again{times}"


def stage(bench: Bench, ref: TableRef) -> Staged | None:
    """Read the new files record by record into the staging folder; None when there is none."""
    files = offered(bench, ref)
    if not files:
        if never_delivered(bench, ref) and bench.domain.bronze[ref.name].required:
            raise InputError(missing(bench, ref), advice="Deliver the file, then run again.")
        return None
    source = bench.domain.bronze[ref.name]
    token = fingerprint(ref.label, [f.batch_id for f in files])
    folder = bench.folder(ref, token)
    decided = settlements(bench.store, bench.domain.name)
    first = last_delivery(bench.store, ref) + 1
    taken: list[SourceFile] = []
    problems: list[Problem] = []
    for file in files:
        delivery = first + len(taken)
        target = folder / "files" / f"{delivery:06d}.parquet"
        try:
            parsed = stage_csv(file.path, source, target, expected_sha256=file.sha256)
        except InputError as error:
            problems.append(Problem(file.batch_id, file.name, str(error), acceptable=False))
            continue
        problems += _header_problems(file, parsed, decided.get(file.batch_id))
        size = file.path.stat().st_size
        taken.append(SourceFile(file.name, file.sha256, size, parsed.rows, file.batch_id, delivery))
    rows = sum(f.rows for f in taken)
    staged = Staged(
        table=ref,
        token=token,
        folder=str(folder),
        files=tuple(taken),
        batches=tuple(
            Batch(f.batch_id, f.rows, accepted=_accepted(decided.get(f.batch_id))) for f in taken
        ),
        problems=tuple(problems),
        rows={"ingested": rows, "published": rows},
        contract=fingerprint(source.columns, source.delimiter, source.encoding),
    )
    staged.save()
    return staged


def _accepted(settled: Settlement | None) -> bool:
    return settled is not None and settled.decision is Decision.accepted


def _header_problems(
    file: Offered, parsed: StagedFile, settled: Settlement | None
) -> list[Problem]:
    if not parsed.missing or _accepted(settled):
        return []
    extra = f"; it has {', '.join(parsed.unknown)} instead" if parsed.unknown else ""
    text = f"{file.name}: the header lacks {', '.join(parsed.missing)}{extra}"
    return [Problem(file.batch_id, file.name, text, acceptable=True)]


def staged_rows(bench: Bench, staged: Staged) -> DataFrame:
    """The staged records with their metadata columns, as they will be appended."""
    ref = staged.table
    source = bench.domain.bronze[ref.name]
    wanted = bronze_schema(source)
    session = bench.store.session
    if not staged.files:
        return session.createDataFrame([], wanted)
    folder = Path(staged.folder) / "files"
    parts: DataFrame | None = None
    for file in staged.files:
        rows = session.read.parquet(str(folder / f"{file.delivery:06d}.parquet")).select(
            "*",
            F.lit(file.name).alias("_source_file"),
            F.lit(file.batch_id).alias("_batch_id"),
            F.lit(file.sha256).alias("_file_hash"),
            F.lit(file.delivery).alias("_delivery"),
        )
        parts = rows if parts is None else parts.unionByName(rows)
    assert parts is not None  # noqa: S101 - staged.files is not empty
    instant = F.lit(bench.run.started_at).cast("timestamp")
    flagged = F.when(suspect(typed_uses(bench.domain, ref)), "suspect").otherwise("ok")
    complete = parts.select(
        "*",
        instant.alias("_ingested_at"),
        F.to_date(instant).alias("_ingestion_date"),
        F.lit(f"{bench.domain.name}.{ref.name}").alias("_source"),
        _record_hash(source.columns).alias("_record_hash"),
        flagged.alias("_quality_flag"),
        (F.col("_delivery") * F.lit(RECORDS_PER_DELIVERY) + F.col("_record_number")).alias(
            "_sequence"
        ),
    )
    return complete.select([quote(f.name) for f in wanted.fields])


def _record_hash(columns: Iterable[str]) -> Column:
    """SHA-256 over the source's values as a JSON object; null and empty differ."""
    values = F.struct(*[F.col(quote(c)) for c in columns])
    return F.sha2(F.to_json(values, {"ignoreNullFields": "false"}), 256)


def typed_uses(domain: DomainSpec, ref: TableRef) -> list[tuple[str, str]]:
    """Source column and type of every silver column that is typed from this bronze table."""
    return [
        (column.source or name, column.type)
        for silver in domain.silver.values()
        if silver.source == ref.label
        for name, column in silver.row_columns.items()
        if is_sourced(column) and column.type != "string"
    ]
