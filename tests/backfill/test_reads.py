"""A backfill of one month reads that month's part of bronze, as Spark's own metrics say."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from storage.spark.metrics import rows_read, scans, scans_of
from tasks.manage import backfill
from tasks.manage.backfill import Request
from tests.conftest import MakeLake
from tests.property.delivery import File, write
from tests.property.domain import load_domain
from tests.property.driver import contexts, run_batch
from tests.property.events import Record
from tests.sessions import BOTH

MONTHS = (1, 2, 3, 4)
ROWS = 25


def _month(number: int) -> File:
    """Records that are more than a day away from other months: an offset could move those to another one."""
    records = tuple(
        Record(
            f"a{n:02}", f"2024-{number:02}-{n % 26 + 2:02} 10:00:00", "1", "u", "pro", "1", "1", ""
        )
        for n in range(ROWS)
    )
    return File(f"events_{number:02}.csv", records)


@pytest.mark.parametrize("format_name", BOTH)
def test_one_month_of_bronze_is_read(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, format_name: str
) -> None:
    domain, lake, landing = load_domain(), make_lake(format_name), tmp_path / "landing"
    domain.silver = {"account_events": domain.silver["account_events"]}
    domain.gold = {}
    for number in MONTHS:  # a commit each: small files of one commit share a data file
        write((_month(number),), landing)
        run_batch(contexts(spark, lake, domain, landing, number=number), domain)
    context = contexts(spark, lake, domain, landing, number=9)()
    request = Request(("account_events",), dt.date(2024, 3, 1), dt.date(2024, 4, 1))
    planned = backfill.planned(context, request)
    (table,), (partition,) = planned.tables, planned.partitions

    with scans(context.store.session) as found:
        attempt = backfill.stage(context, table, planned.part(partition))

    assert attempt.rows["ingested"] == ROWS
    assert rows_read(found, ["accounts_bronze/events"]) == ROWS
    assert sum(scan.files for scan in scans_of(found, "accounts_bronze/events")) == 1
