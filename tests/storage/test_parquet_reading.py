"""Reading of Parquet files that Spark has written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from storage.parquet_reading import spark_rows

ALL = """
select 1 i, 2L l, 1.5D d, 1.50BD n, cast(3 as decimal(38,10)) w, true b, 'ä' s, date'0001-01-01' t,
  timestamp'9999-12-31 23:59:59.999999' at, array(1, null) a, named_struct('x', 1, 'y z', 'q') o,
  map('k', 1) m, cast(null as string) e
"""


def jobs_of(spark: SparkSession, read: Callable[[], DataFrame]) -> tuple[DataFrame, int]:
    """What is read, and the jobs that it takes."""
    context, group = spark.sparkContext, uuid4().hex
    context.setJobGroup(group, "what reading costs")
    try:
        rows = read()
    finally:
        context.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]  # None removes it
    context._jsc.sc().listenerBus().waitUntilEmpty(10_000)
    return rows, len(context.statusTracker().getJobIdsForGroup(group))


def test_rows_that_spark_wrote_are_read_without_a_job(spark: SparkSession, tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    spark.sql(ALL).write.parquet(str(folder))
    inferred, jobs = jobs_of(spark, lambda: spark.read.parquet(str(folder)))
    assert jobs == 1
    read, jobs = jobs_of(spark, lambda: spark_rows(spark, folder))
    assert jobs == 0
    assert read.schema == inferred.schema
    assert read.collect() == inferred.collect()


def test_no_rows_have_their_types(spark: SparkSession, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("none", "some")]
    rows = spark.sql(ALL)
    for folder, written in zip(folders, (rows.limit(0), rows), strict=True):
        written.write.parquet(str(folder))
    assert spark_rows(spark, folders[0]).schema == spark_rows(spark, *folders).schema
    assert spark_rows(spark, *folders).count() == 1


def test_a_folder_that_is_gone_is_said_by_spark(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(AnalysisException, match="PATH_NOT_FOUND"):
        spark_rows(spark, tmp_path / "gone")
