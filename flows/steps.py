"""The steps of a table as Prefect tasks: thin wrappers around the plain functions of `tasks`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed, Failed
from prefect.tasks import exponential_backoff

from conf.schema import Retry
from flows.runs import Run, registered
from flows.runtime import Runtime
from flows.typed import overrides_of
from storage.errors import LakehouseError, TransientError
from storage.failures import NATIVE, translate, without_secrets
from storage.types import TableRef
from tasks import backfill, bronze, derived, drift, silver, tables
from tasks.accounting import ACCOUNTS
from tasks.bench import Bench, Staged
from tasks.gate import GateReport, check, is_derived
from tasks.ops import TableOutcome, passed
from tasks.partitions import Partition
from tasks.publish import publish

P = ParamSpec("P")
R = TypeVar("R")


def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Retry condition: only errors that were born transient; a failed gate never."""
    del task, task_run
    try:
        state.result(raise_on_failure=True)
    except TransientError:
        return True
    except BaseException:  # noqa: BLE001 - whatever it is, it is not transient
        return False
    return False


def with_retries(step: Task[P, R], retry: Retry, name: str) -> Task[P, R]:
    """The step with the configured retries of transient errors.

    Its `name` is what Prefect shows where it never starts because a step before it failed.
    """
    return step.with_options(
        name=name,
        task_run_name=name,
        retries=retry.attempts,
        retry_delay_seconds=exponential_backoff(retry.first_delay_seconds),
        retry_jitter_factor=retry.jitter,
        retry_condition_fn=is_transient,
    )


@task(task_run_name="{table} · stage", cache_policy=NO_CACHE, persist_result=False)
def stage_table(
    run_id: str, table: str, partition: Partition | None = None
) -> Staged | State[None]:
    """Write the rows to publish to the staging folder."""
    run, ref = _of(run_id, table)
    run.progress.step(ref, "stage")

    def work() -> Staged | None:
        bench = run.runtime.bench()
        tables.create(bench, ref)
        started = time.monotonic()
        staged = _stage(bench, ref) if partition is None else _restage(run, bench, ref, partition)
        return staged.timed(time.monotonic() - started) if staged else None

    staged = guarded(run, ref, work, partition)
    if staged is None:
        run.settle(TableOutcome(ref, "unchanged", message=_waits_for(run, ref)))
        return Completed(name="Unchanged", message="nothing new")
    run.progress.rows(ref, staged.rows)
    return Completed(message=_counts(staged), data=staged)


@task(task_run_name="{table} · check", cache_policy=NO_CACHE, persist_result=False)
def check_table(
    run_id: str, table: str, staged: Staged | None, partition: Partition | None = None
) -> GateReport | State[Any]:
    """Evaluate the gate on what was staged."""
    run, ref = _of(run_id, table)
    if staged is None:
        return Completed(name="Unchanged", message="nothing to check")
    run.progress.step(ref, "check")
    report = guarded(run, ref, lambda: check(run.runtime.bench(), staged), partition)
    good, total = passed(report)
    if report.verdict.blocked:
        drift.record(run.runtime.bench(spark=False), staged, outcome="blocked")
        advice = settle_commands(run.runtime, report)
        outcome = TableOutcome(
            ref, "blocked", dict(staged.rows), staged.seconds, gate=report,
            message="; ".join(report.verdict.reasons), advice=advice,
            accounts=staged.notes.get(ACCOUNTS, {}),
        )  # fmt: skip
        run.settle(outcome, partition)
        return Failed(name="Blocked", message=f"{ref.label}: {outcome.message}\n{advice}")
    text = f"{good} of {total} checks passed, score {report.verdict.score:.3f}"
    return Completed(message=text, data=report)


@task(
    tags=["publish"], task_run_name="{table} · publish", cache_policy=NO_CACHE, persist_result=False
)
def publish_table(
    run_id: str,
    table: str,
    staged: Staged | None,
    report: GateReport | None,
    partition: Partition | None = None,
) -> State[Any]:
    """Commit what was checked."""
    run, ref = _of(run_id, table)
    if staged is None or report is None:
        return Completed(name="Unchanged", message="nothing to publish")
    run.progress.step(ref, "publish")
    started = time.monotonic()
    commit = guarded(run, ref, lambda: publish(run.runtime.bench(), staged, report), partition)
    seconds = staged.seconds + time.monotonic() - started
    status = "unchanged" if commit.operation == "mark" else "published"
    outcome = TableOutcome(
        ref, status, dict(staged.rows), round(seconds, 3), str(commit.version), report,
        accounts=staged.notes.get(ACCOUNTS, {}),
    )  # fmt: skip
    run.settle(outcome, partition)
    return Completed(
        message=f"{staged.rows.get('published', 0):,} rows published as version {commit.version}"
    )


def _waits_for(run: Run, ref: TableRef) -> str:
    bench = run.runtime.bench(spark=False)
    if ref.layer == "bronze" and bronze.never_delivered(bench, ref):
        return bronze.missing(bench, ref)
    return ""


def settle_commands(runtime: Runtime, report: GateReport) -> str:
    """The commands that settle a blocked batch, as they can be typed."""
    config = runtime.config
    where = overrides_of(config, landing=report.table.layer == "bronze")
    lines = []
    for batch in report.batches:
        lines.append(f"lakehouse batch reject {batch} {where}")
        lines.append(f'lakehouse batch accept {batch} --reason "..." {where}')
    return "settle it with one of:\n  " + "\n  ".join(lines) if lines else ""


def _of(run_id: str, table: str) -> tuple[Run, TableRef]:
    run = registered(run_id)
    return run, run.runtime.config.domain.ref(table)


def _stage(bench: Bench, ref: TableRef) -> Staged | None:
    if ref.layer == "bronze":
        return bronze.stage(bench, ref)
    return derived.stage(bench, ref) if is_derived(bench, ref) else silver.stage(bench, ref)


def _restage(run: Run, bench: Bench, ref: TableRef, partition: Partition) -> Staged:
    assert run.backfill is not None  # noqa: S101 - only a backfill has partitions
    return backfill.stage(bench, ref, partition, run.backfill.note(partition))


def _counts(staged: Staged) -> str:
    rows = dict(staged.rows)
    scanned, available = rows.pop("scanned", 0), rows.pop("available", 0)
    counts = ", ".join(f"{n:,} {name}" for name, n in rows.items() if n)
    read = f", {scanned:,} of {available:,} input rows read" if available else ""
    return f"{counts or 'no rows'}{read} in {staged.seconds:.1f} s"


def guarded(
    run: Run, ref: TableRef, work: Callable[[], R], partition: Partition | None = None
) -> R:
    """Run a step and note its failure for the run's report; retries overwrite the note."""
    try:
        with run.slots:
            return work()
    except LakehouseError as error:
        _note_failure(run, ref, partition, error.message, error.advice)
        raise
    except (*NATIVE, OSError) as error:
        known = translate(ref, error)
        _note_failure(run, ref, partition, known.message, known.advice)
        raise known from without_secrets(error)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        _note_failure(run, ref, partition, f"{type(error).__name__}: {first}", "")
        safe = without_secrets(error)
        if safe is error:
            raise
        raise safe from None


def _note_failure(
    run: Run, ref: TableRef, partition: Partition | None, message: str, advice: str
) -> None:
    run.settle(TableOutcome(ref, "failed", message=message, advice=advice), partition)
