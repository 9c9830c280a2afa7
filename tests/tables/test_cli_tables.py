"""The commands that show, settle and rebuild what is in tables, on tables written without Spark."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from checks.gate import Verdict
from checks.model import CheckResult, Outcome, Severity
from flows.cli import invoke
from flows.runtime import Runtime, lake_of, new_run, run_lock
from storage.types import CommitRecord, SourceFile, TableRef
from tasks.context import Attempt, GateReport, RunInfo, backfill_folder
from tasks.notes import Batch, Notes
from tasks.ops import report as ops
from tasks.ops.report import TableOutcome

pytestmark = pytest.mark.usefixtures("empty_lake")

SALES = pa.table({"day": ["2018-01-01", "2018-01-02"], "n": [1, 2000]})
BATCH = "orders-0123456789ab"


@pytest.fixture(params=["delta", "iceberg"])
def lake(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> str:
    """A lake with a gold table and a bronze delivery; the override that names its format."""
    store = lake_of(make_config(request.param, tmp_path)).store(None)
    record = CommitRecord("run-1", "t1", inputs={"silver.orders": "4"}, rows={"published": 2})
    store.append_arrow(TableRef("olist", "gold", "daily_revenue"), SALES, record)
    file = SourceFile("orders.csv", "ab" * 32, 9, 2, BATCH, 1)
    delivery = CommitRecord("run-1", "t2", files=(file,))
    store.append_arrow(TableRef("olist", "bronze", "orders"), SALES, delivery)
    return f"format={request.param}"


def test_tables_are_listed_with_their_sizes(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["tables", lake, "--json"]) == 0
    tables = {row["table"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(tables) == {"bronze.orders", "gold.daily_revenue"}
    found = tables["gold.daily_revenue"]
    assert (found["rows"], found["files"]) == (2, 1)
    assert found["bytes"] > 0
    committed = datetime.fromisoformat(found["committed_at"])
    assert abs((datetime.now(UTC) - committed).total_seconds()) < 600


def test_a_table_is_shown_with_meaning_and_origin(
    lake: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["show", "gold.daily_revenue", lake, "--json", "--rows", "1"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["table"], shown["rows"], len(shown["sample"])) == ("gold.daily_revenue", 2, 1)
    assert shown["inputs"] == {"silver.orders": "4"}
    assert shown["versions"][0]["run"] == "run-1"
    assert invoke(["show", "gold.daily_revenue", lake]) == 0
    text = capsys.readouterr().out
    assert "gold.daily_revenue: 2 rows" in text
    assert "made from" in text
    assert "2,000" in text


def test_a_query_prints_its_rows(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    query = "select day, n from gold.daily_revenue order by day"
    assert invoke(["sql", query, lake, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == SALES.to_pylist()
    assert invoke(["sql", query, lake, "--rows", "1"]) == 0
    out, err = capsys.readouterr()
    assert "2018-01-01" in out
    assert "2018-01-02" not in out
    assert "1 of 2 rows; more with --rows" in err


def test_a_table_is_exported_whole(lake: str, tmp_path: Path) -> None:
    target = tmp_path / "new" / "sales.csv"
    assert invoke(["export", "gold.daily_revenue", lake, "--to", str(target)]) == 0
    assert pyarrow.csv.read_csv(target)["n"].to_pylist() == [1, 2000]
    parquet = target.with_suffix(".parquet")
    assert invoke(["export", "gold.daily_revenue", lake, "--to", str(parquet)]) == 0
    assert pq.read_table(parquet).sort_by("n").to_pylist() == SALES.to_pylist()


def test_a_known_batch_is_settled_and_listed(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["batch", "reject", BATCH, lake, "--reason", "broken file"]) == 0
    out = capsys.readouterr().out
    assert f"{BATCH} (bronze.orders) rejected" in out
    assert "lakehouse run domain=olist" in out
    assert invoke(["batch", "list", lake]) == 0
    listed = capsys.readouterr().out
    assert BATCH in listed
    assert "rejected" in listed
    assert "broken file" in listed
    assert invoke(["batch", "list", lake, "--json"]) == 0
    [made] = json.loads(capsys.readouterr().out)
    assert (made["batch_id"], made["decision"]) == (BATCH, "rejected")


@pytest.mark.parametrize("part", ["olist/silver/orders/t", "_backfill"])
def test_an_attempt_without_a_delivery_is_settled(
    lake: str, part: str, make_config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = Runtime(make_config(lake.removeprefix("format="), tmp_path), new_run()).context(
        spark=False
    )
    ref, of_part = TableRef("olist", "silver", "orders"), part == "_backfill"
    folder = backfill_folder(context, ref, "t") if of_part else context.folder(ref, "t")
    Attempt(ref, "t", str(folder), notes=Notes(itself=Batch("orders-fedcba987654"))).save()
    assert invoke(["batch", "accept", "orders-fedcba987654", "--reason", "right", lake]) == 0
    assert "orders-fedcba987654 (silver.orders) accepted" in capsys.readouterr().out
    assert invoke(["batch", "accept", "daily_revenue-fedcba987654", "--reason", "x", lake]) == 2
    assert "no delivery or attempt of daily_revenue has this id" in capsys.readouterr().err


def test_rejecting_a_published_batch_says_how_its_rows_leave(
    lake: str, make_config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = lake_of(make_config(lake.removeprefix("format="), tmp_path)).store(None)
    notes = Notes(accounts={BATCH: {"ingested": 2, "published": 2}})
    record = CommitRecord("run-1", "t", notes=notes.stored())
    store.append_arrow(TableRef("olist", "silver", "orders"), SALES, record)
    assert invoke(["batch", "reject", BATCH, lake]) == 0
    out = capsys.readouterr().out
    assert "it was published in silver.orders before" in out
    assert "tables=[silver.orders]" in out
    assert "lakehouse rebuild domain=olist" in out


def test_the_status_names_what_stopped_in_its_last_run(
    lake: str, make_config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = lake_of(make_config(lake.removeprefix("format="), tmp_path)).store(None)
    result = CheckResult("c", "staged", "d", Outcome.FAIL, None, None, Severity.HIGH, "m")
    silver = TableRef("olist", "silver", "orders")
    gate = GateReport(silver, "t", Verdict(True, 0.0, ("too few",)), (result,), (BATCH,))
    blocked = TableOutcome(silver, "blocked", gate=gate, message="too few rows")
    failed = TableOutcome(TableRef("olist", "silver", "products"), "failed", message="disk is full")
    fixed = TableOutcome(failed.table, "published")
    for number, outcomes in enumerate([[blocked, failed], [blocked, fixed]]):
        started = datetime.now(UTC)
        ops.report(store, "olist", RunInfo(f"run-{number}", started, "1"), outcomes,
                   status="blocked", score=0.5, message="")  # fmt: skip
    assert invoke(["status", lake, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stopped"] == [
        {"table": "silver.orders", "status": "blocked", "batches": [BATCH],
         "message": "too few rows"},
    ]  # fmt: skip
    assert invoke(["status", lake]) == 0
    assert BATCH in capsys.readouterr().out


def test_the_report_is_rebuilt_while_no_run_is_under_way(
    lake: str, make_config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(lake.removeprefix("format="), tmp_path)
    command = ["rebuild", "--ops", lake, "locking.run_seconds=0.1"]
    with lake_of(config).locks().hold(run_lock(config)):
        assert invoke(command) == 1
    assert "was held by another process" in capsys.readouterr().err
    assert invoke(command) == 0
    assert "rebuilt from 2 commits" in capsys.readouterr().out
