"""Parquet files of others: every digit of INT96, and dates of the calendar that Spark once counted in."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from storage.errors import InputError
from tasks.domain.spec import FileFormat, SourceSpec
from tasks.ingest.sources.files import parquet_files
from tasks.ingest.sources.files.parquet_batches import _nanoseconds, gregorian
from tasks.ingest.sources.files.parquet_files import stage_parquet
from tasks.landing.content import file_sha256

SOURCE = SourceSpec("*.parquet", ["id", "at", "day"], format=FileFormat.parquet)
FAR = [
    datetime(1, 1, 1), datetime(1500, 2, 28, 12), datetime(1899, 12, 31, 23, 59, 59, 999_999),
    None, datetime(2262, 4, 12), datetime(9999, 12, 31, 23, 59, 59, 123_456),
]  # fmt: skip
TEXTS = [
    "0001-01-01 00:00:00", "1500-02-28 12:00:00", "1899-12-31 23:59:59.999999",
    None, "2262-04-12 00:00:00", "9999-12-31 23:59:59.123456",
]  # fmt: skip


def staged(path: Path) -> list[dict[str, Any]]:
    target = path.with_suffix(".staged")
    made = stage_parquet(path, SOURCE, target, expected_sha256=file_sha256(path))
    rows: list[dict[str, Any]] = pq.read_table(made.parquet).to_pylist()
    return rows


def written(folder: Path, columns: dict[str, pa.Array], notes: dict[str, str], **how: Any) -> Path:
    table = pa.table(columns)
    path = folder / "their.parquet"
    pq.write_table(table.replace_schema_metadata(notes or None), path, **how)
    return path


@pytest.mark.parametrize("rows_at_once", [1, 4, 100])
def test_int96_holds_far_instants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(parquet_files, "CHUNK_RECORDS", rows_at_once)
    columns = {"id": pa.array(["x"] * len(FAR)), "at": pa.array(FAR, pa.timestamp("us"))}
    path = written(tmp_path, columns, {}, use_deprecated_int96_timestamps=True, row_group_size=4)
    assert pq.ParquetFile(path).schema.column(1).physical_type == "INT96"
    assert [row["at"] for row in staged(path)] == TEXTS


def test_int96_keeps_nanoseconds(tmp_path: Path) -> None:
    values = pa.array([0, None, 1, 1_500_000_000_123_456_000, -1], pa.timestamp("ns"))
    columns = {"id": pa.array(["x"] * 5), "at": values}
    path = written(tmp_path, columns, {}, use_deprecated_int96_timestamps=True)
    assert [row["at"] for row in staged(path)] == [
        "1970-01-01 00:00:00", None, "1970-01-01 00:00:00.000000001",
        "2017-07-14 02:40:00.123456", "1969-12-31 23:59:59.999999999",
    ]  # fmt: skip


def test_nanoseconds_are_told_far_from_1970() -> None:
    micros = [253_402_300_799_999_999, -62_135_596_800_000_000, 0]
    wrapped = [((m * 1000 + 789) + 2**63) % 2**64 - 2**63 for m in micros]
    found = _nanoseconds(
        pa.array(micros, pa.timestamp("us")), pa.array(wrapped, pa.timestamp("ns"))
    )
    assert found is not None
    assert found.tolist() == [789, 789, 789]


@pytest.mark.parametrize("notes", [{}, {"org.apache.spark.version": "4.1.4"}], ids=["other", "new"])
def test_dates_of_the_proleptic_calendar_stay(tmp_path: Path, notes: dict[str, str]) -> None:
    days = [date(1, 1, 1), date(1582, 10, 10), date(9999, 12, 31)]
    path = written(tmp_path, {"id": pa.array(["x"] * 3), "day": pa.array(days)}, notes)
    assert [row["day"] for row in staged(path)] == ["0001-01-01", "1582-10-10", "9999-12-31"]


@pytest.mark.parametrize(
    "notes",
    [{"org.apache.spark.version": "2.4.8"}, {"writer.date.proleptic": "false"},
     {"org.apache.spark.version": "4.1.4", "org.apache.spark.legacyDateTime": ""}],
    ids=["spark 2", "hive", "told so"],
)  # fmt: skip
def test_dates_of_the_hybrid_calendar_are_those_that_were_meant(
    tmp_path: Path, notes: dict[str, str]
) -> None:
    """1500-02-29 was a day of the Julian calendar; the Gregorian one has none."""
    stored = [date(1500, 3, 9), date(1500, 3, 10), date(1582, 10, 14), None, date(1582, 10, 15)]
    path = written(tmp_path, {"id": pa.array(["x"] * 5), "day": pa.array(stored)}, notes)
    assert [row["day"] for row in staged(path)] == [
        "1500-02-28", "1500-03-01", "1582-10-04", None, "1582-10-15",
    ]  # fmt: skip


SPARK_2 = {"org.apache.spark.version": "2.4.8"}
IN_BERLIN = SPARK_2 | {"org.apache.spark.timeZone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("values", "notes", "column"),
    [
        (pa.array([datetime(1893, 1, 1), None]), IN_BERLIN, "at"),
        (pa.array([[date(1500, 1, 1)], None]), SPARK_2, "day"),
        (pa.array([{"a": [{"b": date(1500, 1, 1)}]}, None]), SPARK_2, "day"),
        (pa.array([[("k", date(1500, 1, 1))], None], pa.map_(pa.string(), pa.date32())),
         SPARK_2, "day"),
    ],
    ids=["local time", "list", "struct", "map"],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(
    tmp_path: Path, values: pa.Array, notes: dict[str, str], column: str
) -> None:
    path = written(tmp_path, {"id": pa.array(["x", "y"]), column: values}, notes)
    with pytest.raises(InputError, match=rf"their.parquet: column {column} has a value of 1") as no:
        staged(path)
    assert "CORRECTED" in no.value.advice


def test_modern_values_of_such_files_are_taken(tmp_path: Path) -> None:
    at = pa.array([datetime(1900, 1, 1), datetime(2026, 3, 1)])
    days = pa.array([[date(1582, 10, 15)], []])
    path = written(tmp_path, {"id": pa.array(["x", "y"]), "at": at, "day": days}, IN_BERLIN)
    assert [row["at"] for row in staged(path)] == ["1900-01-01 00:00:00", "2026-03-01 00:00:00"]


def test_gregorian_leaves_what_is_modern_alone() -> None:
    days = np.array([-141_427, 0, 2_932_896])
    assert gregorian(days) is days
