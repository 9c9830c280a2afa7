"""The records of an attempt as rows of bronze, with their metadata columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from storage.schemas import schema
from storage.sql import quote
from storage.types import TableRef
from tasks.context import Attempt, Context
from tasks.domain.schemas import BRONZE_METADATA, bronze_schema
from tasks.domain.spec import DomainSpec, DriftMode, Rounding, SourceSpec
from tasks.ingest.sources.hashing import record_hash
from tasks.rows.frames import KEPT, is_sourced, rescued, suspect

FILES = "files"
"""Folder of an attempt with a Parquet file of records for each delivery, named by its number."""

RECORDS_PER_DELIVERY = 10_000_000_000
"""`_sequence` = delivery x this + record number: it orders rows by delivery, then by record."""


def evolved_columns(context: Context, ref: TableRef) -> list[str]:
    """Columns that the bronze table has beyond those declared: it tells itself how it evolved."""
    if not context.store.exists(ref):
        return []
    declared = set(bronze_schema(context.domain.bronze[ref.name]).names)
    return [c for c in context.store.columns(ref).names if c not in declared]


def staged_rows(context: Context, attempt: Attempt) -> DataFrame:
    """The staged records with their metadata columns: computed once, read by the gate and the publication."""
    rows = Path(attempt.part("rows"))
    if not (rows / "_SUCCESS").exists():
        return context.store.materialised(_computed_rows(context, attempt), rows)
    return context.store.rows_of(rows)


def _computed_rows(context: Context, attempt: Attempt) -> DataFrame:
    ref = attempt.table
    source = context.domain.bronze[ref.name]
    evolved = evolved_columns(context, ref)
    evolved += [c for c in attempt.notes.added or () if c not in evolved]
    wanted = schema([*((c, "string") for c in (*source.columns, *evolved)), *BRONZE_METADATA])
    session = context.store.session
    if not attempt.files:
        return session.createDataFrame([], wanted)
    parts = _delivered_rows(session, source, attempt)
    parts = _moved(parts, evolved) if source.drift is DriftMode.evolve else parts.select(
        "*", *[F.lit(None).cast("string").alias(c) for c in evolved]
    )  # fmt: skip
    instant = F.lit(context.run.started_at).cast("timestamp")
    flagged = F.when(suspect(typed_uses(context.domain, ref)), "suspect").otherwise("ok")
    complete = parts.select(
        "*",
        instant.alias("_ingested_at"),
        F.to_date(instant).alias("_ingestion_date"),
        F.lit(f"{context.domain.name}.{ref.name}").alias("_source"),
        record_hash(source.columns).alias("_record_hash"),
        flagged.alias("_quality_flag"),
        (F.col("_delivery") * F.lit(RECORDS_PER_DELIVERY) + F.col("_record_number")).alias(
            "_sequence"
        ),
    )
    return complete.select([quote(f.name) for f in wanted.fields])


def _delivered_rows(session: SparkSession, source: SourceSpec, attempt: Attempt) -> DataFrame:
    """The records of all files in one scan, each with what is known of its file."""
    folder = Path(attempt.folder) / FILES
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
                "_delivery": pa.array([f.delivery for f in attempt.files], pa.int32()),
                "_source_file": [f.name for f in attempt.files],
                "_batch_id": [f.batch_id for f in attempt.files],
                "_file_hash": [f.sha256 for f in attempt.files],
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


def file_of(folder: Path, delivery: int) -> Path:
    """Where the records of a delivery are in an attempt's folder."""
    return folder / FILES / f"{delivery:06d}.parquet"
