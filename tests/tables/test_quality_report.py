"""The report of a run for programs: its form, and what it keeps of earlier runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from checks.gate import Verdict
from checks.model import CheckResult, Outcome, Severity
from flows.execution import conclude
from flows.progress import Silent
from flows.report import quality_report
from flows.report.quality_report import report_path
from flows.runs import Run
from flows.runtime import Runtime
from storage.types import TableRef
from tasks.context import GateReport, RunInfo
from tasks.ops.report import TableOutcome

SCHEMA = json.loads(
    Path(quality_report.__file__).with_name("quality_report.schema.json").read_text("utf-8")
)
BRONZE, SILVER = TableRef("olist", "bronze", "orders"), TableRef("olist", "silver", "orders")


def gate(table: TableRef, *outcomes: Outcome, value: float = 3.0) -> GateReport:
    results = tuple(
        CheckResult(f"c{n}", "staged", "d", outcome, value, "= 3", Severity.HIGH, "m", 0.12345)
        for n, outcome in enumerate(outcomes)
    )
    blocked = Outcome.FAIL in outcomes
    return GateReport(table, "t", Verdict(blocked, 0.5, ()), results, ("b1",), waived=("c1",))


def outcome(table: TableRef, status: str, *outcomes: Outcome, value: float = 3.0) -> TableOutcome:
    report = gate(table, *outcomes, value=value)
    return TableOutcome(table, status, {"ingested": 7, "published": 6}, 1.0, gate=report)


@pytest.fixture
def run(make_config: Any, tmp_path: Path) -> Run:
    return a_run(make_config("delta", tmp_path), "run-1")


def a_run(config: Any, run_id: str) -> Run:
    started = datetime.now(UTC) - timedelta(seconds=5)
    return Run(Runtime(config, RunInfo(run_id, started, "1")), Silent())


def concluded(run: Run, *outcomes: TableOutcome) -> dict[str, Any]:
    for made in outcomes:
        run.note(made)
    conclude(run, [BRONZE, SILVER])
    return read(run)


def read(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report_path(run.runtime.config).read_text("utf-8"))
    jsonschema.validate(found, SCHEMA, format_checker=jsonschema.FormatChecker())
    return found


def entries(found: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(f"{e['layer']}.{e['table']}", e["check"]): e for e in found["checks"]}


def test_a_blocked_run_reports_every_check_with_what_was_measured(run: Run) -> None:
    found = concluded(
        run,
        outcome(BRONZE, "published", Outcome.PASS),
        outcome(SILVER, "blocked", Outcome.FAIL, Outcome.WARN, Outcome.NOT_EVALUATED),
    )
    assert (found["status"], found["domain"], found["format"]) == ("blocked", "olist", "delta")
    assert [t["status"] for t in found["tables"]] == ["published", "blocked"]
    assert {key: e["outcome"] for key, e in entries(found).items()} == {
        ("bronze.orders", "c0"): "pass", ("silver.orders", "c0"): "fail",
        ("silver.orders", "c1"): "warn", ("silver.orders", "c2"): "not_evaluated",
    }  # fmt: skip
    first = entries(found)["silver.orders", "c0"]
    wanted = {"value": 3.0, "threshold": "= 3", "rows": 7, "seconds": 0.123, "waived": False,
              "severity": "high", "run_id": "run-1"}  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert entries(found)["silver.orders", "c1"]["waived"] is True


def test_tables_without_news_keep_the_checks_of_the_run_that_made_them(run: Run) -> None:
    concluded(
        run,
        outcome(BRONZE, "published", Outcome.PASS, Outcome.PASS),
        outcome(SILVER, "blocked", Outcome.FAIL),
    )
    later = a_run(run.runtime.config, "run-2")
    found = concluded(
        later, outcome(BRONZE, "published", Outcome.PASS), TableOutcome(SILVER, "unchanged")
    )
    assert {key: e["run_id"] for key, e in entries(found).items()} == {
        ("bronze.orders", "c0"): "run-2", ("silver.orders", "c0"): "run-1",
    }  # fmt: skip
    assert (found["run_id"], found["status"]) == ("run-2", "done")


def test_a_run_with_nothing_new_says_so_and_keeps_the_checks(run: Run) -> None:
    before = concluded(run, outcome(BRONZE, "published", Outcome.PASS))
    still = [TableOutcome(BRONZE, "unchanged"), TableOutcome(SILVER, "unchanged")]
    found = concluded(a_run(run.runtime.config, "run-3"), *still)
    assert (found["run_id"], found["status"]) == ("run-3", "done")
    assert found["checks"] == before["checks"]


def test_a_table_that_is_no_longer_declared_leaves_the_report(run: Run) -> None:
    concluded(run, outcome(BRONZE, "published", Outcome.PASS))
    path = report_path(run.runtime.config)
    path.write_text(path.read_text("utf-8").replace('"orders"', '"gone"'), "utf-8")
    assert concluded(a_run(run.runtime.config, "run-2"))["checks"] == []


@pytest.mark.parametrize("broken", ["", "[]", '{"version": 0, "checks": [1]}', '{"version": 1}'])
def test_a_report_that_cannot_be_read_is_written_anew(run: Run, broken: str) -> None:
    path = report_path(run.runtime.config)
    path.parent.mkdir(parents=True)
    path.write_text(broken, "utf-8")
    found = concluded(run, outcome(BRONZE, "published", Outcome.PASS, value=float("nan")))
    assert [e["value"] for e in found["checks"]] == [None]
    assert [f.name for f in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["reports", "export"])
def test_a_file_that_cannot_be_written_hides_nothing_that_the_run_did(
    run: Run, tmp_path: Path, kind: str
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file where a folder should be", "utf-8")
    if kind == "reports":
        run.runtime.config.paths.reports = str(taken)
    else:
        run.runtime.config.export.folder = str(taken)
    run.note(outcome(BRONZE, "published", Outcome.PASS))
    run.note(outcome(SILVER, "blocked", Outcome.FAIL))
    summary = conclude(run, [BRONZE, SILVER])
    assert [o.status for o in summary.outcomes] == ["published", "blocked"]
    assert summary.status == "failed"
    assert summary.message.startswith("1 table published, 6 rows; silver.orders blocked")
    assert f"; cannot write {taken}" in summary.message


def test_a_run_leaves_the_files_that_the_configuration_asks_for(run: Run, tmp_path: Path) -> None:
    concluded(run, outcome(BRONZE, "published", Outcome.PASS))
    assert not (tmp_path / "out").exists()
    run.runtime.config.export.folder = str(tmp_path / "out")
    concluded(run, outcome(BRONZE, "published", Outcome.PASS))
    assert (tmp_path / "out" / quality_report.NAME).read_bytes() == report_path(
        run.runtime.config
    ).read_bytes()
