"""Parquet files that Spark itself writes in the calendar that it once counted in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import FileFormat, SourceSpec
from tasks.ingest.sources.files.parquet_files import stage_parquet
from tasks.landing.content import file_sha256

SOURCE = SourceSpec("*.parquet", ["id", "at", "day"], format=FileFormat.parquet)


def staged(path: Path) -> list[dict[str, Any]]:
    target = path.with_suffix(".staged")
    made = stage_parquet(path, SOURCE, target, expected_sha256=file_sha256(path))
    rows: list[dict[str, Any]] = pq.read_table(made.parquet).to_pylist()
    return rows


@pytest.mark.spark
def test_files_that_spark_writes_in_the_hybrid_calendar(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Every 13th day up to 1600 is read as Spark itself reads it, as dates and as both kinds of instants."""
    own = spark.newSession()
    for kind in ("datetime", "int96"):
        own.conf.set(f"spark.sql.parquet.{kind}RebaseModeInWrite", "LEGACY")
    for kind in ("INT96", "TIMESTAMP_MICROS"):
        own.conf.set("spark.sql.parquet.outputTimestampType", kind)
        days = "explode(sequence(date'0001-01-01', date'1600-01-01', interval 13 days))"
        rows = own.sql(f"select cast(d as string) id, d day, timestamp(d) + interval '1.5' second at "
                       f"from (select {days} d)").coalesce(1)  # fmt: skip
        rows.write.parquet(str(tmp_path / kind))
        [path] = (tmp_path / kind).glob("*.parquet")
        read = spark.read.parquet(str(path)).selectExpr("string(day) day", "string(at) at", "id")
        expected = [(row["id"], row["day"], row["at"]) for row in read.collect()]
        assert [(r["id"], r["day"], r["at"]) for r in staged(path)] == expected
        assert len(expected) == 44_925
