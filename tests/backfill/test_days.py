"""The condition of a partition on text, as Spark evaluates it."""

from __future__ import annotations

import datetime as dt

from pyspark.sql import SparkSession

from tasks.rows.partitions import Unit, split


def test_text_is_placed_by_its_day_in_utc(spark: SparkSession) -> None:
    (march,) = split(dt.date(2018, 3, 1), dt.date(2018, 3, 2), Unit.day)
    inside = {
        "2018-03-01", "2018-03-01 00:00:00", "2018-03-01T23:59:59.9999999Z", "2018-03-01 nonsense",
        "2018-02-28T23:30:00-01:00", "2018-03-02 00:30:00.5+01", "2018-03-01T12:00:00+0200",
    }  # fmt: skip
    outside = {
        "2018-02-28 23:59:59", "2018-03-02T00:00:00Z", "2018-03-01T00:30:00+01:00",
        "2018-03-01 23:30:00-0100",
    }  # fmt: skip
    rows = spark.createDataFrame([(text,) for text in inside | outside], "at string")
    assert {row["at"] for row in rows.where(march.text("`at`")).collect()} == inside
