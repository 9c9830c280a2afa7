from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.states import Cancelled, Completed, Failed

from checks.gate import Verdict
from checks.model import CheckResult, Outcome, Severity
from flows.progress import Silent
from flows.report.artifacts import _key, markdown
from flows.report.summary import summarise
from flows.runs import Run
from flows.runtime import Runtime
from flows.step_tasks import is_transient, stage_table, with_retries
from flows.steps import resolve_commands
from storage.errors import (
    CommitConflictError,
    ConfigurationError,
    LockTimeoutError,
    TransientError,
)
from storage.types import TableRef
from tasks.context import GateReport, RunInfo
from tasks.ops.report import TableOutcome


def _table(label: str) -> TableRef:
    return TableRef.parse("olist", label)


def _gate(*outcomes: Outcome, batches: tuple[str, ...] = ("b1",)) -> GateReport:
    results = tuple(
        CheckResult(f"c{n}", "staged", "d", outcome, None, None, Severity.MEDIUM, "m")
        for n, outcome in enumerate(outcomes)
    )
    return GateReport(
        _table("silver.a"), "t", Verdict(True, 0.5, ("too few rows",)), results, batches
    )


PUBLISHED = TableOutcome(
    _table("bronze.a"), "published", {"ingested": 1200, "published": 1200}, 1.25, "3",
    _gate(Outcome.PASS, Outcome.PASS),
)  # fmt: skip
BLOCKED = TableOutcome(
    _table("silver.a"), "blocked", {"ingested": 1200, "published": 1100, "quarantined": 100}, 2.0,
    gate=_gate(Outcome.PASS, Outcome.FAIL), message="too few rows", advice="resolve it",
)  # fmt: skip
FAILED = TableOutcome(_table("silver.b"), "failed", message="disk is full", advice="free space")
SKIPPED = TableOutcome(_table("gold.a"), "skipped", message="a table that it reads was not")
UNCHANGED = TableOutcome(_table("bronze.b"), "unchanged")


@pytest.fixture
def run(make_config: Any, tmp_path: Path) -> Run:
    started = datetime.now(UTC) - timedelta(seconds=5)
    return Run(Runtime(make_config("delta", tmp_path), RunInfo("run-1", started, "1")), Silent())


@pytest.mark.parametrize(
    ("outcomes", "status", "score", "message"),
    [
        ([UNCHANGED], "done", 1.0, "nothing new: no table was changed"),
        ([PUBLISHED, UNCHANGED], "done", 1.0, "1 table published, 1,200 rows"),
        ([PUBLISHED, BLOCKED, SKIPPED], "blocked", 0.75,
         "1 table published, 1,200 rows; silver.a blocked: too few rows; "
         "1 table downstream keeps its version"),
        ([FAILED], "failed", 0.0,
         "0 tables published, 0 rows; silver.b failed: disk is full"),
        ([BLOCKED, FAILED], "failed", 0.5,
         "0 tables published, 0 rows; silver.a blocked: too few rows; "
         "silver.b failed: disk is full"),
    ],
    ids=["nothing", "published", "blocked", "failed at once", "failed"],
)  # fmt: skip
def test_a_run_is_judged_by_its_worst_table(
    run: Run, outcomes: list[TableOutcome], status: str, score: float, message: str
) -> None:
    summary = summarise(run, outcomes)
    assert (summary.status, summary.score, summary.message) == (status, score, message)
    assert (summary.run_id, summary.domain, summary.format) == ("run-1", "olist", "delta")
    assert 5 <= summary.seconds < 60


def test_the_summary_is_a_table_in_markdown(run: Run) -> None:
    text = markdown(summarise(run, [PUBLISHED, BLOCKED, FAILED, SKIPPED]))
    lines = text.splitlines()
    assert lines[0] == "## olist on delta: failed"
    assert "| bronze.a | published | 1,200 | 1,200 | 0 | 2/2 | 1.2 |" in lines
    assert "| silver.a | blocked | 1,200 |  | 100 | 1/2 | 2.0 |" in lines
    assert "| silver.b | failed | 0 |  |  |  |  |" in lines
    assert lines[lines.index("### What to do next") + 2 :] == [
        "```", "resolve it", "free space", "```",
    ]  # fmt: skip
    cells = {line.count("|") for line in lines if line.startswith("|")}
    assert cells == {8}


def test_without_advice_nothing_is_to_do(run: Run) -> None:
    assert "What to do next" not in markdown(summarise(run, [PUBLISHED]))


def test_a_blocked_batch_is_settled_by_commands(run: Run) -> None:
    text = resolve_commands(run.runtime, _gate(Outcome.FAIL, batches=("a-1", "a-2")))
    where = f"domain=olist format=delta paths.lake={run.runtime.config.paths.lake}"
    assert [line.strip().removesuffix(f" paths.landing={run.runtime.config.paths.landing}")
            for line in text.splitlines()[1:]] == [
        f"lakehouse batch reject a-1 {where}",
        f'lakehouse batch accept a-1 --reason "..." {where}',
        f"lakehouse batch reject a-2 {where}",
        f'lakehouse batch accept a-2 --reason "..." {where}',
    ]  # fmt: skip
    assert resolve_commands(run.runtime, _gate(batches=())) == ""


class _OwnTransientError(TransientError): ...


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (CommitConflictError("x"), True),
        (LockTimeoutError("x"), True),
        (_OwnTransientError("x"), True),
        (ConfigurationError("x"), False),
        (ValueError("x"), False),
        (ConnectionError("x"), False),
    ],
    ids=lambda value: str(value) if isinstance(value, bool) else type(value).__name__,
)
def test_only_transient_errors_are_tried_again(error: Exception, again: bool) -> None:
    task_run: Any = None
    assert is_transient(stage_table, task_run, Failed(data=error)) is again


@pytest.mark.parametrize(
    "state",
    [Failed(name="Blocked", message="a gate"), Cancelled(), Completed(data=1)],
    ids=["blocked", "cancelled", "completed"],
)
def test_an_end_that_is_no_error_is_not_tried_again(state: Any) -> None:
    task_run: Any = None
    assert not is_transient(stage_table, task_run, state)


def test_a_step_takes_its_retries_from_the_configuration(run: Run) -> None:
    retry = run.runtime.config.retry
    retry.attempts, retry.first_delay_seconds, retry.jitter = 4, 0.5, 0.25
    step = with_retries(stage_table, retry, "silver.a · stage")
    assert (step.name, step.retries) == ("silver.a · stage", 4)
    assert step.retry_jitter_factor == 0.25
    assert step.retry_condition_fn is is_transient
    assert step.retry_delay_seconds == [0.5, 1.0, 2.0, 4.0]
    assert stage_table.retries == 0


def test_any_domain_gives_a_key_that_prefect_takes() -> None:
    names = ("olist-delta", "my_shop-delta", "Shop-delta", "shop-delta", "größe-iceberg")
    keys = [_key(name) for name in names]
    assert keys[:2] == ["olist-delta", "my-shop-delta"]
    assert all(re.fullmatch("[a-z0-9-]+", key) for key in keys)
    assert len(set(keys)) == len(names)
