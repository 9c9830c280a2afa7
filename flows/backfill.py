"""The backfill: partitions of tables restated, a few at a time, and then everything that reads them."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from prefect import State as FlowState
from prefect import allow_failure, flow
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from conf.load import load_parameters
from conf.overrides import refuse_long
from flows.execution import MOST_WORKERS, conclude
from flows.forms import Environment, FormatName
from flows.pipeline import (
    CALLER,
    STEPS,
    Caller,
    as_state,
    start_spark,
    turn,
    work,
)
from flows.progress import Silent
from flows.report.artifacts import publish_artifacts, publish_grid
from flows.report.summary import Summary
from flows.runs import Run, forget, register
from flows.runtime import Runtime, new_run
from flows.step_tasks import with_retries
from storage.base import TableStore
from storage.types import TableRef
from tasks.manage import backfill as planning
from tasks.manage.backfill import Request
from tasks.ops.report import TableOutcome
from tasks.records import changes
from tasks.records.backfill_ledger import Backfill, Ledger, State, ledger, record
from tasks.records.contracts import refuse_outdated
from tasks.rows.partitions import Partition, Unit
from tasks.run_table import has_news, kind_of

PAUSE_SECONDS = 0.5
"""Between two waves: longer than a waiting run's look at the lock, so that it gets its turn."""
WORST = ("failed", "blocked", "skipped", "published", "unchanged")


@dataclass(frozen=True)
class Result:
    """What a backfill did, and where every partition is now."""

    summary: Summary
    backfill: Backfill
    ledger: Ledger


def _name() -> str:
    """Name of a flow run: domain, format and what is restated."""
    given = flow_run.parameters
    tables = "+".join(given["tables"] or ["all"])
    span = f"{given['start']}-{given['end']}" if given["start"] else "whole"
    return f"{given['domain']}-{given['format']}-{tables}-{span}"


@flow(
    name="backfill",
    flow_run_name=_name,
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_WORKERS),  # type: ignore[arg-type]
    persist_result=False,
)
def backfill(  # noqa: PLR0917 - flat parameters make the form in the UI
    domain: str = "olist",
    env: Environment = "dev",
    format: FormatName = "delta",
    tables: list[str] | None = None,
    start: dt.date | None = None,
    end: dt.date | None = None,
    unit: Literal["day", "week", "month"] = "month",
    source: Literal["bronze", "source"] = "bronze",
    parallelism: int = 2,
    again: bool = False,
    overrides: list[str] | None = None,
) -> FlowState[Any]:
    """Restate partitions of tables, and bring what reads them up to date.

    Args:
        domain: The domain.
        env: Environment: dev, test or prod.
        format: Table format: delta or iceberg.
        tables: A silver table's name or layer.table; every silver table with partitions when empty.
        start: First day; whole tables when start and end are empty.
        end: First day that is not included.
        unit: Partitions by day, week (from Monday) or month.
        source: From bronze as it is, or from the source: take new files into bronze first.
        parallelism: Partitions staged at once.
        again: Restate partitions that are done, too.
        overrides: Further Hydra overrides, key=value; only some keys are allowed.
    """
    caller = CALLER.get()
    if caller is None:
        groups = {"domain": domain, "env": env, "format": format}
        caller = Caller(load_parameters(groups, overrides or [], {}), Silent())
        for table in tables or []:
            refuse_long("tables", table)
    run = Run(Runtime(caller.config, new_run(as_of=caller.config.as_of)), caller.progress)
    request = Request(tuple(tables or ()), start, end, Unit(unit), source, again)
    register(run)
    try:
        result = _execute(run, request, max(1, parallelism))
    finally:
        forget(run)
    return as_state(result.summary, result)


def _execute(run: Run, request: Request, parallelism: int) -> Result:
    context = run.runtime.context(spark=False)
    domain = context.domain
    run.backfill = planned = planning.planned(context, request)
    refuse_outdated(context, domain.tables())
    run.progress.started(list(planned.tables))
    if request.source == "source":
        with turn(run):
            _bring_up_to_date(run, planning.upstream(domain, planned.tables))
    for table in planned.tables:
        if kind_of(domain, table).follows_inputs:
            with turn(run):
                _bring_up_to_date(run, [table])
        _restate(run, table, parallelism)
    with turn(run):
        _bring_up_to_date(run, planning.downstream(domain, planned.tables))
        changes.prune(context)
        for table in planned.tables:
            run.outcomes[table] = _outcome(run, table)
        summary = conclude(run, [t for t in domain.tables() if t in run.outcomes])
    found = ledger(context.store, planned)
    publish_artifacts(summary)
    publish_grid(planned, found)
    return Result(summary, planned, found)


def _bring_up_to_date(run: Run, tables: list[TableRef]) -> None:
    """The steps of a run for these tables, where they have anything to take in."""
    context = run.runtime.context(spark=False)
    if not any(has_news(context, ref) for ref in tables):
        for ref in tables:
            run.outcomes.setdefault(ref, TableOutcome(ref, "unchanged"))
        return
    start_spark(run.runtime.run.run_id)
    work(run, tables)
    for ref in tables:
        skipped = TableOutcome(ref, "skipped", message="a table that it reads was not published")
        run.outcomes.setdefault(ref, skipped)


def _restate(run: Run, table: TableRef, parallelism: int) -> None:
    """The table's partitions that are not done, some at a time; between them others get their turn."""
    assert run.backfill is not None  # noqa: S101 - planned before
    store = run.runtime.metadata_store()
    todo = _open(store, run.backfill, table)
    left = [p for p in run.backfill.partitions if (table, p) in todo]
    for wave in batched(left, parallelism):
        with turn(run):
            still = _open(store, run.backfill, table)
            _wave(run, table, [p for p in wave if (table, p) in still])
        if wave[-1] != left[-1]:
            time.sleep(PAUSE_SECONDS)


def _open(store: TableStore, planned: Backfill, table: TableRef) -> set[tuple[TableRef, Partition]]:
    found = ledger(store, replace(planned, tables=(table,)))
    return {key for key, entry in found.items() if entry.state is not State.done}


def _wave(run: Run, table: TableRef, partitions: list[Partition]) -> None:
    """Stage partitions side by side; each is checked and published after the one before it."""
    if not partitions:
        return
    retry, run_id = run.runtime.config.retry, run.runtime.run.run_id
    start_spark(run_id)
    planning.prepare(run.runtime.context(), table)
    _report(run, table, dict.fromkeys(partitions, (State.running, "")))
    published: list[PrefectFuture[Any]] = []
    for partition in partitions:
        stage, check, publish = (
            with_retries(step, retry, f"{table.label} {partition.label} · {name}")
            for name, step in STEPS.items()
        )
        attempt = stage.submit(run_id, table.label, partition)
        before = [allow_failure(future) for future in published]
        report = check.submit(run_id, table.label, attempt, partition, wait_for=before)
        published.append(publish.submit(run_id, table.label, attempt, report, partition))
    for future in published:
        future.wait()
    _report(run, table, {p: _state(run.parts.get((table, p))) for p in partitions})


def _report(run: Run, table: TableRef, states: dict[Partition, tuple[State, str]]) -> None:
    assert run.backfill is not None  # noqa: S101 - planned before
    store, run_id = run.runtime.metadata_store(), run.runtime.run.run_id
    record(store, run.backfill, run_id, {(table, p): state for p, state in states.items()})


def _state(outcome: TableOutcome | None) -> tuple[State, str]:
    if outcome is None:
        return State.failed, "it never began"
    if outcome.status in (State.failed, State.blocked):
        return State(outcome.status), outcome.message
    return State.done, ""


def _outcome(run: Run, table: TableRef) -> TableOutcome:
    """What became of a table over all its parts."""
    parts = [o for (of, _), o in run.parts.items() if of == table]
    parts += [run.outcomes[table]] if table in run.outcomes else []
    if not parts:
        return TableOutcome(table, "unchanged", message="every partition is done")
    worst = min(parts, key=lambda outcome: WORST.index(outcome.status))
    rows: Counter[str] = Counter()
    accounts: dict[str, Counter[str]] = {}
    for outcome in parts:
        rows.update(outcome.rows)
        for batch_id, account in outcome.accounts.items():
            accounts.setdefault(batch_id, Counter()).update(account)
    stopped = [f"{o.partition}: {o.message}" for o in parts if o.status in ("failed", "blocked")]
    seconds = round(sum(o.seconds for o in parts), 3)
    return replace(
        worst, rows=dict(rows), accounts=accounts, seconds=seconds, message="; ".join(stopped),
        partition="", restated=any(o.restated for o in parts),
    )  # fmt: skip


def batched(partitions: list[Partition], size: int) -> Iterator[list[Partition]]:
    """The partitions in lists of at most `size`."""
    for first in range(0, len(partitions), size):
        yield partitions[first : first + size]
