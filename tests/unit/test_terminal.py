"""A run without Prefect: order, failures, retries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows import terminal
from flows.progress import Silent
from flows.runs import Run
from flows.runtime import Runtime
from flows.steps import StepResult
from flows.terminal import ThreadRunner
from storage.errors import CommitConflictError, InputError
from tasks.context import RunInfo
from tasks.ops.report import TableOutcome

CUSTOMERS, ORDERS = "silver.customers", "silver.orders"
LABELS = ("bronze.customers", "bronze.orders", CUSTOMERS, ORDERS)
Step = Callable[..., StepResult[Any]]


class Played:
    """Steps that note their calls, and do what a test says for one table."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run = run
        self.calls: list[tuple[str, str]] = []
        self.instead: dict[tuple[str, str], Callable[[], StepResult[Any]]] = {}
        self._lock = threading.Lock()
        for name in ("stage", "check", "publish"):
            monkeypatch.setattr(terminal, f"{name}_step", self._step(name))

    def _step(self, name: str) -> Step:
        def step(_: str, label: str, *given: object) -> StepResult[Any]:
            with self._lock:
                self.calls.append((name, label))
            return self.instead.get((name, label), lambda: StepResult("done", f"{name} {given}"))()

        return step

    def fails(self, label: str, error: Exception) -> Callable[[], StepResult[Any]]:
        def step() -> StepResult[Any]:
            self.run.note(TableOutcome(self.run.runtime.config.domain.ref(label), "failed"))
            raise error

        return step

    def work(self) -> None:
        domain = self.run.runtime.config.domain
        ThreadRunner().work(self.run, [domain.ref(label) for label in LABELS], [])

    def of(self, label: str) -> list[str]:
        return [name for name, table in self.calls if table == label]


@pytest.fixture
def played(make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    config = make_config("delta", tmp_path)
    config.retry.attempts, config.retry.first_delay_seconds = 2, 0.0
    run = Run(Runtime(config, RunInfo("run-1", datetime.now(UTC), "1")), Silent())
    return Played(run, monkeypatch)


def test_a_table_goes_through_its_steps_after_those_that_it_reads(played: Played) -> None:
    played.work()
    for label in LABELS:
        assert played.of(label) == ["stage", "check", "publish"]
    assert played.calls.index(("publish", CUSTOMERS)) < played.calls.index(("stage", ORDERS))
    assert played.calls.index(("publish", "bronze.orders")) < played.calls.index(("stage", ORDERS))


def test_what_was_blocked_is_not_published_nor_what_reads_it(played: Played) -> None:
    played.instead["check", CUSTOMERS] = lambda: StepResult("blocked", name="Blocked", failed=True)
    played.work()
    assert played.of(CUSTOMERS) == ["stage", "check"]
    assert played.of(ORDERS) == []
    assert played.of("bronze.orders") == ["stage", "check", "publish"]


def test_a_failed_table_does_not_stop_the_others(played: Played) -> None:
    played.instead["stage", "bronze.customers"] = played.fails("bronze.customers", InputError("x"))
    played.work()
    assert played.of("bronze.customers") == ["stage"]
    assert played.of(CUSTOMERS) == []
    assert played.of("bronze.orders") == ["stage", "check", "publish"]


def test_a_transient_error_is_tried_again_as_often_as_configured(played: Played) -> None:
    error = CommitConflictError("x")
    played.instead["publish", CUSTOMERS] = played.fails(CUSTOMERS, error)
    played.work()
    assert played.of(CUSTOMERS) == ["stage", "check", "publish", "publish", "publish"]


def test_a_failure_that_no_step_noted_ends_the_run(played: Played) -> None:
    def broken() -> StepResult[Any]:
        raise ZeroDivisionError

    played.instead["check", CUSTOMERS] = broken
    with pytest.raises(ZeroDivisionError):
        played.work()
