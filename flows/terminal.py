"""A run without Prefect, for a terminal that has no server to report to: the same steps on threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

from flows.execution import MOST_WORKERS, execute, news
from flows.progress import Progress
from flows.report.summary import Summary
from flows.runs import Run, forget, register
from flows.runtime import Runtime, domain_lock, spark_session
from flows.steps import StepResult, check_step, publish_step, push_step, stage_step
from storage.errors import TransientError
from storage.types import TableRef
from tasks.destinations.push import sweep
from tasks.domain.spec import Push, dependencies

R = TypeVar("R")


def run_here(runtime: Runtime, progress: Progress) -> Summary:
    """Bring the tables that the configuration selects up to date, in this process."""
    run = Run(runtime, progress)
    register(run)
    try:
        with domain_lock(runtime):
            return execute(run, ThreadRunner())
    finally:
        forget(run)


class ThreadRunner:
    """Carries out the steps of a run on threads of this process."""

    def plan(self, run: Run, tables: Sequence[TableRef]) -> Sequence[str]:
        """Labels of the tables that have news."""
        return news(run, tables)

    def start_spark(self, run: Run) -> None:
        """Start the process's Spark session."""
        spark_session(run.runtime.config)

    def work(self, run: Run, wanted: Sequence[TableRef], pushes: Sequence[Push]) -> None:
        """Take every table through its steps, each after those it reads, and then the pushes."""
        graph = dependencies(run.runtime.config.domain)
        pool = ThreadPoolExecutor(MOST_WORKERS, thread_name_prefix="table")
        done: dict[str, Future[bool]] = {}
        try:
            # Tables come after those they read, so what a thread waits for has begun before it.
            for ref in wanted:
                upstream = [done[label] for label in graph[ref.label] if label in done]
                done[ref.label] = pool.submit(_after, upstream, run, ref, partial(_table, run, ref))
            if pushes:
                sweep(run.runtime.context(spark=False))
            ends = [*done.values(), *_pushed(pool, run, pushes, done)]
            for end in ends:
                end.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait


def _pushed(
    pool: ThreadPoolExecutor, run: Run, pushes: Sequence[Push], done: Mapping[str, Future[bool]]
) -> list[Future[bool]]:
    run_id = run.runtime.run.run_id
    return [
        pool.submit(
            _after,
            [done[wanted.table.label]] if wanted.table.label in done else [],
            run,
            wanted.ref,
            partial(_goes_on, run, partial(push_step, run_id, wanted)),
        )
        for wanted in pushes
    ]


def _after(
    upstream: Sequence[Future[bool]],
    run: Run,
    ref: TableRef,
    work: Callable[[], bool],
) -> bool:
    """Whether what reads the table may go on; nothing is done where what it reads was not published."""
    if not all(end.result() for end in upstream):
        return False
    try:
        return work()
    except Exception:
        outcome = run.outcomes.get(ref)
        if outcome is None or outcome.status != "failed":
            raise  # no failure of the step, which notes its own
        return False


def _table(run: Run, ref: TableRef) -> bool:
    run_id, label = run.runtime.run.run_id, ref.label
    attempt = _tried(run, lambda: stage_step(run_id, label)).value
    report = _tried(run, lambda: check_step(run_id, label, attempt))
    if report.failed:
        return False
    return _goes_on(run, lambda: publish_step(run_id, label, attempt, report.value))


def _goes_on(run: Run, step: Callable[[], StepResult[R]]) -> bool:
    return not _tried(run, step).failed


def _tried(run: Run, step: Callable[[], StepResult[R]]) -> StepResult[R]:
    """The step with the configured retries of transient errors."""
    retry = run.runtime.config.retry
    first = retry.first_delay_seconds
    tries = Retrying(
        stop=stop_after_attempt(retry.attempts + 1),
        wait=wait_exponential(multiplier=first) + wait_random(0, first * retry.jitter),
        retry=retry_if_exception_type(TransientError),
        reraise=True,
    )
    return tries(step)
