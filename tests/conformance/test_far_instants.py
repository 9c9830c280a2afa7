"""Instants of the years 1 to 9999: exact for every reader, also in files that hold them as INT96."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from storage.adapter import FormatStore
from storage.registry import Lake
from storage.spark.session import FIXED
from storage.types import TableRef
from tests.conformance.tables import NUMBERS, record

INSTANTS = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1500, 2, 28, 23, 59, 59, 999_999, UTC),  # before the Gregorian calendar
    datetime(1582, 10, 10, 12, tzinfo=UTC),  # a day that the hybrid calendar lacks
    datetime(1899, 12, 31, 23, 53, 28, tzinfo=UTC),
    datetime(2026, 3, 29, 2, 30, 0, 123_456, UTC),  # in the gap of summer time
    datetime(2262, 4, 11, 23, 47, 16, 854_776, UTC),  # the first that nanoseconds do not reach
    datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
]
ROWS = pa.table(
    {
        "id": pa.array(range(len(INSTANTS)), pa.int64()),
        "at": pa.array(INSTANTS, pa.timestamp("us", "UTC")),
        "day": pa.array([date(i.year, i.month, i.day) for i in INSTANTS], pa.date32()),
    }
)
OUTPUT = "spark.sql.parquet.outputTimestampType"


@pytest.fixture
def ref() -> TableRef:
    return TableRef("shop", "ops", f"far{next(NUMBERS)}")


@pytest.mark.parametrize("written_as", ["TIMESTAMP_MICROS", "INT96"])
def test_every_reader_gives_the_instants_that_were_written(
    store: FormatStore, lake: Lake, ref: TableRef, written_as: str
) -> None:
    """Tables of earlier versions of the platform hold INT96."""
    store.append_arrow(ref, ROWS.slice(0, 0), record())
    store.session.conf.set(OUTPUT, written_as)
    try:
        store.append(ref, store.session.createDataFrame(ROWS).coalesce(1), record())
    finally:
        store.session.conf.set(OUTPUT, FIXED[OUTPUT])
    alone = lake.store(None)
    assert alone.read_arrow(ref).sort_by("id").to_pylist() == ROWS.to_pylist()
    assert store.read(ref).toArrow().sort_by("id").to_pylist() == ROWS.to_pylist()
    version = store.head(ref).version
    for row in ROWS.to_pylist():
        found = alone.scan_arrow(
            ref, version, columns=ROWS.column_names, where=pc.field("at") == pa.scalar(row["at"])
        )
        assert found.read_all().to_pylist() == [row]
