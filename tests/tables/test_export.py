"""Files of a domain: their text, their order, and which of them are written again."""

from __future__ import annotations

import datetime as dt
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.cli import invoke
from flows.export import MANIFEST, Exported, export_domain, write_rows
from flows.reading import Reader
from flows.report.quality_report import NAME
from flows.runtime import lake_of
from storage.errors import StorageDeniedError, StorageFullError
from storage.types import CommitRecord, TableRef

ROWS = pa.table(
    {
        "city": ["b", "", None, 'a "x", y', "line\nbreak"],
        "n": pa.array([1, 2, 3, None, 5], pa.int64()),
        "money": pa.array(
            [Decimal("1.50"), Decimal("0.00"), None, Decimal("-2.25"), Decimal(1)],
            pa.decimal128(18, 2),
        ),
        "share": [0.1, 2.0, None, float("inf"), 1e-7],
        "at": pa.array(
            [dt.datetime(2026, 1, 2, 3, 4, 5), dt.datetime(2026, 1, 2, 3, 4, 5, 500_000), None, None, None],
            pa.timestamp("us", tz="UTC"),
        ),
        "day": pa.array([dt.date(2026, 1, 2), None, None, None, None]),
        "late": [True, False, None, None, None],
    }
)  # fmt: skip
TEXT = """city,n,money,share,at,day,late
,3,,,,,
"",2,0.00,2.0,2026-01-02 03:04:05.5,,false
"a ""x"", y",,-2.25,inf,,,
b,1,1.50,0.1,2026-01-02 03:04:05,2026-01-02,true
"line
break",5,1.00,1e-07,,,
"""


def test_the_text_of_a_file_is_the_documented_one(tmp_path: Path) -> None:
    write_rows(ROWS, ["city"], tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text("utf-8") == TEXT
    write_rows(ROWS.drop_columns(["city"]).select(["money", "n"]), ["n"], tmp_path / "by_n.csv")
    lines = (tmp_path / "by_n.csv").read_text("utf-8").splitlines()
    assert [line.split(",")[1] for line in lines] == ["n", "", "1", "2", "3", "5"]


def test_the_same_rows_in_any_order_are_the_same_bytes(tmp_path: Path) -> None:
    for order in (["city"], []):
        for suffix in (".csv", ".parquet"):
            one, other = tmp_path / f"one{suffix}", tmp_path / f"other{suffix}"
            write_rows(ROWS, order, one)
            write_rows(ROWS.take([4, 2, 0, 3, 1]), order, other)
            assert one.read_bytes() == other.read_bytes()
    assert pq.read_table(tmp_path / "one.parquet").schema.names == ROWS.schema.names


def test_a_file_takes_the_place_of_the_earlier_one_at_once(tmp_path: Path) -> None:
    target = tmp_path / "it's.csv"
    write_rows(ROWS, [], target)
    before = target.read_bytes()
    with target.open("rb") as reading:
        write_rows(ROWS.slice(1), [], target)
        assert reading.read() == before
    assert target.read_bytes() != before
    assert os.listdir(tmp_path) == [target.name]


@pytest.mark.parametrize(
    ("error", "raised"), [(28, StorageFullError), (13, StorageDeniedError)], ids=["full", "denied"]
)
def test_a_file_that_cannot_be_written_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, raised: type[Exception]
) -> None:
    target = tmp_path / "out.csv"
    write_rows(ROWS, [], target)
    before = target.read_bytes()

    def fails(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(raised, match=os.strerror(error)):
        write_rows(ROWS.slice(1), [], target)
    assert target.read_bytes() == before
    assert os.listdir(tmp_path) == [target.name]


@pytest.fixture(params=["delta", "iceberg"])
def reader(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Reader:
    """A lake with two gold tables of the domain."""
    made = Reader(make_config(request.param, tmp_path), lambda _: None)
    for name in ("daily_revenue", "delivery_sla"):
        publish(made, name, 2, 1)
    return made


def publish(reader: Reader, name: str, *values: int) -> None:
    key = "order_date" if name == "daily_revenue" else "customer_state"
    days = [dt.date(2026, 1, n) for n in values]
    rows = pa.table({key: days, "orders": list(values), "_batch_id": ["x"] * len(values)})
    record = CommitRecord("run-1", f"{name}-{values}")
    lake_of(reader.config).store(None).append_arrow(TableRef("olist", "gold", name), rows, record)


def written(made: list[Exported]) -> dict[str, bool]:
    return {e.table.name: e.written for e in made}


def test_only_files_of_changed_tables_are_written_again(reader: Reader, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert written(list(export_domain(reader, out))) == {
        "daily_revenue": True, "delivery_sla": True,
    }  # fmt: skip
    assert (
        out / "daily_revenue.csv"
    ).read_text() == "order_date,orders\n2026-01-01,1\n2026-01-02,2\n"
    times = {f.name: f.stat().st_mtime_ns for f in out.glob("*.csv")}
    assert not any(written(list(export_domain(reader, out))).values())
    assert {f.name: f.stat().st_mtime_ns for f in out.glob("*.csv")} == times

    publish(reader, "delivery_sla", 3)
    assert written(list(export_domain(reader, out))) == {
        "daily_revenue": False, "delivery_sla": True,
    }  # fmt: skip
    assert "2026-01-03,3" in (out / "delivery_sla.csv").read_text()

    (out / "daily_revenue.csv").write_text("touched")
    (out / "delivery_sla.csv").unlink()
    assert all(written(list(export_domain(reader, out))).values())
    assert "2026-01-02,2" in (out / "daily_revenue.csv").read_text()
    (out / MANIFEST).write_text("{")
    assert all(written(list(export_domain(reader, out))).values())


def test_another_lake_in_the_same_folder_is_another_source(
    reader: Reader, make_config: Any, tmp_path: Path
) -> None:
    list(export_domain(reader, tmp_path / "out"))
    other = Reader(make_config(reader.config.format.name, tmp_path / "second"), lambda _: None)
    publish(other, "daily_revenue", 9, 8)
    assert written(list(export_domain(other, tmp_path / "out"))) == {"daily_revenue": True}
    assert "2026-01-09,9" in (tmp_path / "out" / "daily_revenue.csv").read_text()


def test_the_command_exports_a_domain_with_its_report(
    reader: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Path(reader.config.paths.reports) / "olist" / reader.config.format.name / NAME
    report.parent.mkdir(parents=True)
    report.write_text("{}")
    where = [f"paths.lake={reader.config.paths.lake}", f"format={reader.config.format.name}"]
    out = tmp_path / "out"
    for said in ("2 rows to", "unchanged in"):
        assert invoke(["export", "domain=olist", *where, "--to", str(out)]) == 0
        assert (
            f"gold.daily_revenue: {said} {out / 'daily_revenue.csv'}\n" in capsys.readouterr().out
        )
    assert (out / NAME).read_text() == "{}"
    assert set(json.loads((out / MANIFEST).read_text())) == {
        "daily_revenue.csv",
        "delivery_sla.csv",
    }
    assert invoke(["export", *where, "--to", str(out), "--as", "parquet"]) == 0
    assert pq.read_table(out / "daily_revenue.parquet")["orders"].to_pylist() == [1, 2]
