from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from checks.gate import Verdict
from checks.model import CheckResult, Outcome, Severity
from flows.runtime import lake_of
from storage.base import TableStore
from storage.evolution import AddColumn
from storage.lake_store import LakeStore
from storage.types import Commit, CommitRecord, TableRef
from tasks.context import GateReport, RunInfo
from tasks.ops.report import TableOutcome, passed, rebuild, report
from tasks.ops.tables import TABLES, ops_table

RUN = RunInfo("run-1", datetime(2024, 1, 1, tzinfo=UTC), "1.0")
ORDERS = TableRef("shop", "silver", "orders")
SALES = TableRef("shop", "gold", "sales")
BROKEN = TableRef("shop", "gold", "broken")
ROWS = pa.table({"id": ["a", "b", "c"]})
ACCOUNTS = {"b1": {"ingested": 4, "published": 3, "quarantined": 1}, "b0": {"released": 1}}


@pytest.fixture(params=["delta", "iceberg"])
def store(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> TableStore:
    store = lake_of(make_config(request.param, tmp_path)).store(None)
    rows = {"ingested": 4, "published": 3, "quarantined": 1}
    notes = {"accounts": ACCOUNTS}
    record = CommitRecord("run-1", "t1", code="1.0", rows=rows, notes=notes)
    store.append_arrow(ORDERS, ROWS, record)
    return store


def _result(name: str, outcome: Outcome) -> CheckResult:
    return CheckResult(
        name, "staged", "row_count > 0", outcome, 3.0, "> 0", Severity.HIGH, f"{name} said so"
    )


def _gate(table: TableRef, *outcomes: Outcome, waived: tuple[str, ...] = ()) -> GateReport:
    results = tuple(_result(f"check {n}", outcome) for n, outcome in enumerate(outcomes))
    return GateReport(table, "t1", Verdict(False, 0.5, ()), results, ("b1",), waived)


def _report(store: TableStore, run: RunInfo = RUN, domain: str = "shop") -> None:
    outcomes = [
        TableOutcome(
            ORDERS, "published", {"ingested": 4, "published": 3, "quarantined": 1}, 1.5, "7",
            _gate(ORDERS, Outcome.PASS, Outcome.FAIL, waived=("check 1",)),
            accounts=ACCOUNTS,
        ),
        TableOutcome(BROKEN, "failed", message="it broke"),
        TableOutcome(SALES, "skipped"),
    ]  # fmt: skip
    report(store, domain, run, outcomes, status="failed", score=0.5, message="gold.broken failed")


REPORTS = ("runs", "check_results", "table_metrics")
REBUILT = ("runs", "batch_metrics", "table_metrics")


def _rows(store: TableStore, name: str) -> list[dict[str, Any]]:
    return sorted(store.read_arrow(ops_table(name)).to_pylist(), key=str)


def test_a_run_is_reported_with_its_tables_and_checks(store: TableStore) -> None:
    _report(store)
    (run,) = _rows(store, "runs")
    assert run["run_id"] == "run-1"
    assert (run["status"], run["score"], run["message"]) == ("failed", 0.5, "gold.broken failed")
    assert (run["tables_published"], run["rows_published"], run["code"]) == (1, 3, "1.0")
    assert run["started_at"] == RUN.started_at
    metrics = {row["table_name"]: row for row in _rows(store, "table_metrics")}
    assert set(metrics) == {"silver.orders", "gold.broken"}
    orders = metrics["silver.orders"]
    assert (orders["rows_ingested"], orders["rows_published"]) == (4, 3)
    assert (orders["rows_quarantined"], orders["rows_rejected"]) == (1, None)
    assert (orders["table_rows"], orders["version"], orders["seconds"]) == (3, "7", 1.5)
    assert orders["table_bytes"] > 0
    assert metrics["gold.broken"]["table_rows"] is None
    checks = {row["check_name"]: row for row in _rows(store, "check_results")}
    assert [checks[f"check {n}"]["outcome"] for n in (0, 1)] == ["pass", "fail"]
    assert [checks[f"check {n}"]["waived"] for n in (0, 1)] == [False, True]
    assert checks["check 1"]["message"] == "check 1 said so"


def _accounts(store: TableStore) -> dict[str, tuple[int, ...]]:
    names = ("ingested", "published", "deduplicated", "quarantined", "rejected", "released")
    return {
        row["batch_id"]: tuple(row[f"rows_{name}"] for name in names)
        for row in _rows(store, "batch_metrics")
    }


def test_each_batch_is_reported_with_what_became_of_its_rows(store: TableStore) -> None:
    _report(store)
    assert _accounts(store) == {"b1": (4, 3, 0, 1, 0, 0), "b0": (0, 0, 0, 0, 0, 1)}
    (row, *_) = _rows(store, "batch_metrics")
    assert (row["run_id"], row["table_name"], row["status"]) == (
        "run-1",
        "silver.orders",
        "published",
    )
    rebuild(store, "shop", [ORDERS])
    assert _accounts(store) == {"b1": (4, 3, 0, 1, 0, 0), "b0": (0, 0, 0, 0, 0, 1)}


def test_a_repeated_report_writes_nothing(store: TableStore) -> None:
    _report(store)
    before = {name: (_rows(store, name), store.head(ops_table(name)).version) for name in REPORTS}
    _report(store)
    after = {name: (_rows(store, name), store.head(ops_table(name)).version) for name in REPORTS}
    assert after == before


def test_another_run_is_added(store: TableStore) -> None:
    _report(store)
    _report(store, RunInfo("run-2", datetime(2024, 1, 2, tzinfo=UTC), "1.0"))
    assert {row["run_id"] for row in _rows(store, "runs")} == {"run-1", "run-2"}
    assert len(_rows(store, "check_results")) == 4


def test_runs_are_rebuilt_from_the_commits_of_the_tables(store: TableStore) -> None:
    store.append_arrow(ORDERS, ROWS, CommitRecord("run-2", "t2", code="1.1", rows={"published": 3}))
    marked = CommitRecord("run-2", "t3", code="1.1", notes={"mark": True})
    store.append_arrow(SALES, ROWS, marked)
    assert rebuild(store, "shop", [ORDERS, SALES, BROKEN]) == 3
    runs = {row["run_id"]: row for row in _rows(store, "runs")}
    assert {run: row["tables_published"] for run, row in runs.items()} == {"run-1": 1, "run-2": 1}
    assert {run: row["rows_published"] for run, row in runs.items()} == {"run-1": 3, "run-2": 3}
    assert {row["code"] for row in runs.values()} == {"1.0", "1.1"}
    assert {row["status"] for row in runs.values()} == {"rebuilt"}
    metrics = _rows(store, "table_metrics")
    found = [(m["run_id"], m["table_name"], m["status"], m["rows_published"]) for m in metrics]
    assert sorted(found, key=str) == [
        ("run-1", "silver.orders", "published", 3),
        ("run-2", "gold.sales", "unchanged", None),
        ("run-2", "silver.orders", "published", 3),
    ]
    versions = {entry.version for entry in store.history(ORDERS)}
    assert {m["version"] for m in metrics if m["table_name"] == "silver.orders"} <= versions


def test_a_rebuild_replaces_its_own_domain_alone_and_keeps_the_checks(store: TableStore) -> None:
    _report(store)
    _report(store, RunInfo("run-t", datetime(2024, 1, 2, tzinfo=UTC), "1.0"), domain="taxi")
    checks = _rows(store, "check_results")
    for _ in range(2):
        assert rebuild(store, "shop", [ORDERS]) == 1
    found = {(row["domain"], row["run_id"], row["status"]) for row in _rows(store, "runs")}
    assert found == {("shop", "run-1", "rebuilt"), ("taxi", "run-t", "failed")}
    assert len(_rows(store, "runs")) == 2
    assert _rows(store, "check_results") == checks


def test_a_rebuild_keeps_the_pushes(store: TableStore) -> None:
    """A push is in no commit record of the lake."""
    pushed = TableOutcome(TableRef("shop", "destination", "warehouse.sales"), "pushed", {}, 1.0)
    report(store, "shop", RUN, [pushed], status="done", score=1.0, message="")
    for _ in range(2):
        rebuild(store, "shop", [ORDERS])
    found = [(row["table_name"], row["status"]) for row in _rows(store, "table_metrics")]
    assert sorted(found) == [
        ("destination.warehouse.sales", "pushed"), ("silver.orders", "published"),
    ]  # fmt: skip


PUSHED = TableOutcome(TableRef("shop", "destination", "warehouse.sales"), "pushed", {}, 1.0)
PUSH_ONLY = RunInfo("run-push", datetime(2024, 1, 3, tzinfo=UTC), "1.0")
TAXI = RunInfo("run-taxi", datetime(2024, 1, 4, tzinfo=UTC), "1.0")


def _reported(store: TableStore) -> dict[str, list[dict[str, Any]]]:
    return {name: _rows(store, name) for name in REBUILT}


def test_a_run_that_has_only_pushed_stays(store: TableStore) -> None:
    report(store, "shop", PUSH_ONLY, [PUSHED], status="done", score=1.0, message="pushed")
    rebuild(store, "shop", [ORDERS])
    runs = {row["run_id"]: row["status"] for row in _rows(store, "runs")}
    assert runs == {"run-1": "rebuilt", "run-push": "done"}


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("writes", range(3))
def test_a_rebuild_that_is_killed_loses_no_row(
    store: TableStore, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    report(store, "shop", PUSH_ONLY, [PUSHED], status="done", score=1.0, message="pushed")
    _report(store)
    _report(store, TAXI, domain="taxi")
    before = _reported(store)
    made: list[tuple[Any, ...]] = []
    whole = type(store).overwrite_arrow

    def until_killed(self: TableStore, *given: Any, **named: Any) -> Commit:
        if len(made) == writes:
            raise KilledError
        made.append(given)
        return whole(self, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "overwrite_arrow", until_killed)
        with pytest.raises(KilledError):
            rebuild(store, "shop", [ORDERS])
    kept = [
        (name, row)
        for name, rows in before.items()
        for row in rows
        if row["domain"] == "taxi" or row["run_id"] == "run-push"
    ]
    assert len(kept) == 7
    found = _reported(store)
    assert all(row in found[name] for name, row in kept)
    rebuild(store, "shop", [ORDERS])
    found = _reported(store)
    assert all(row in found[name] for name, row in kept)
    assert [r["status"] for r in found["runs"] if r["run_id"] == "run-1"] == ["rebuilt"]


@pytest.mark.parametrize("passes", ["before the write", "the lock"])
def test_a_report_of_another_domain_while_a_rebuild_is_under_way_is_kept(
    store: TableStore, monkeypatch: pytest.MonkeyPatch, passes: str
) -> None:
    _report(store)
    target = type(store) if passes == "before the write" else type(_adapter(store))
    name = "overwrite_arrow" if passes == "before the write" else "_overwrite_arrow"
    whole = getattr(target, name)
    others: list[str] = []

    def meanwhile(self: Any, table: TableRef, *given: Any, **named: Any) -> Any:
        if len(others) < 2:
            others.append(f"taxi-{len(others)}")
            row = {"run_id": others[-1], "domain": "taxi"}
            rows = pa.Table.from_pylist([row], schema=TABLES[table.name])
            adapter = _adapter(store)
            if passes == "the lock":
                adapter._append_arrow(table, rows, CommitRecord("run-taxi", others[-1]))
            else:
                adapter.append_arrow(table, rows, CommitRecord("run-taxi", others[-1]))
        return whole(self, table, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(target, name, meanwhile)
        rebuild(store, "shop", [ORDERS])
    metrics = _rows(store, "table_metrics")
    found = sorted((row["domain"], row["run_id"]) for row in metrics)
    assert found == [("shop", "run-1"), ("taxi", "taxi-0"), ("taxi", "taxi-1")]


def _adapter(store: TableStore) -> Any:
    assert isinstance(store, LakeStore)
    return store.adapter(store.format_of(ops_table("runs")))


def test_a_rebuild_keeps_what_a_newer_version_has_reported(store: TableStore) -> None:
    _report(store)
    runs = ops_table("runs")
    store.evolve(runs, [AddColumn("machine", "string", "code")])
    newer = {"run_id": "run-taxi", "domain": "taxi", "machine": "m1"}
    rows = pa.Table.from_pylist([newer], schema=store.columns(runs))
    store.append_arrow(runs, rows, CommitRecord("run-taxi", "newer"))
    rebuild(store, "shop", [ORDERS])
    found = {row["run_id"]: row["machine"] for row in _rows(store, "runs")}
    assert found == {"run-1": None, "run-taxi": "m1"}


def test_a_rebuild_without_any_commit_leaves_empty_tables(store: TableStore) -> None:
    _report(store)
    assert rebuild(store, "shop", [BROKEN]) == 0
    assert _rows(store, "runs") == []


def test_checks_passed_are_counted() -> None:
    assert passed(_gate(ORDERS, Outcome.PASS, Outcome.WARN, Outcome.FAIL, Outcome.PASS)) == (2, 4)
