"""Rows and files that Spark says it read, for both formats."""

from __future__ import annotations

import pytest
from pyspark.sql import DataFrame, SparkSession

from storage.base import TableStore
from storage.formats import formats_for
from storage.schemas import schema
from storage.spark.metrics import Scan, rows_read, scans, scans_of
from storage.types import CommitRecord, TableRef
from tests.conftest import MakeLake

REF = TableRef("shop", "bronze", "sales")
ROWS = 20


@pytest.fixture(params=formats_for())
def store(request: pytest.FixtureRequest, spark: SparkSession, make_lake: MakeLake) -> TableStore:
    return filled(make_lake(request.param).store(spark))


def filled(store: TableStore) -> TableStore:
    """A table of three months, each appended by itself, and one of a similar name."""
    for ref in (REF, TableRef("shop", "bronze", "sales__quarantine")):
        store.create(ref, schema([("id", "bigint"), ("at", "string")]))
        for month in (1, 2, 3):
            store.append(ref, _month(store, month), CommitRecord("run", f"month {month}"))
    return store


def _month(store: TableStore, month: int) -> DataFrame:
    rows = [(n, f"2018-{month:02}-{n + 1:02} 10:00:00") for n in range(ROWS)]
    return store.session.createDataFrame(rows, "id bigint, at string").coalesce(1)


def test_the_files_of_other_months_are_not_read(store: TableStore) -> None:
    with scans(store.session) as found:
        rows = store.read(REF).where("at >= '2018-02-01' and at < '2018-03-01'").collect()
    assert len(rows) == ROWS
    (scan,) = scans_of(found, REF.path)
    assert (scan.rows, scan.files) == (ROWS, 1)
    assert rows_read(found, [REF.path]) == ROWS


def test_a_whole_read_counts_every_row_and_file(store: TableStore) -> None:
    with scans(store.session) as found:
        store.read(REF).collect()
    (scan,) = scans_of(found, REF.path)
    assert (scan.rows, scan.files) == (3 * ROWS, 3)


def test_a_table_that_is_read_file_by_file_is_known_too(
    spark: SparkSession, make_lake: MakeLake
) -> None:
    store = filled(make_lake("delta", bronze="parquet").store(spark))
    with scans(store.session) as found:
        store.read(REF).collect()
    assert rows_read(found, [REF.path]) == 3 * ROWS


def test_a_cached_table_counts_once(store: TableStore) -> None:
    with scans(store.session) as found:
        rows = store.read(REF).cache()
        rows.count()
        rows.where("id > 3").collect()
        rows.unpersist()
    assert rows_read(found, [REF.path]) == 3 * ROWS


def test_what_is_read_outside_does_not_count(store: TableStore) -> None:
    store.read(REF).collect()
    with scans(store.session) as found:
        pass
    store.read(REF).collect()
    assert found == []


@pytest.mark.parametrize(
    "what",
    [
        "Scan parquet FileScan parquet [id] Location: PreparedDeltaFileIndex(1 paths)[file:/l/a_b/t], x",
        "BatchScan lake.a_b.t lake.a_b.t (branch=null) [filters=]",
    ],
)
def test_a_scan_is_told_from_that_of_a_table_with_a_longer_name(what: str) -> None:
    scan = Scan(what, 1, 1)
    assert scans_of([scan], "a_b/t") == [scan]
    longer = Scan(what.replace("b/t", "b/t__q").replace("b.t", "b.t__q"), 1, 1)
    assert scans_of([longer], "a_b/t") == []
