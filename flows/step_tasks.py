"""The steps of a table as Prefect tasks, with their retries."""

from __future__ import annotations

from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed, Failed
from prefect.tasks import exponential_backoff

from conf.schema import Retry
from flows import steps
from flows.steps import StepResult
from storage.errors import TransientError
from tasks.context import Attempt, GateReport
from tasks.domain.spec import Push
from tasks.rows.partitions import Partition

P = ParamSpec("P")
R = TypeVar("R")


def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Retry condition: only transient errors; a failed gate is never retried."""
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
def stage_table(run_id: str, table: str, partition: Partition | None = None) -> State[Any]:
    """Write the rows to publish to the staging folder."""
    return _state(steps.stage_step(run_id, table, partition))


@task(task_run_name="{table} · check", cache_policy=NO_CACHE, persist_result=False)
def check_table(
    run_id: str, table: str, attempt: Attempt | None, partition: Partition | None = None
) -> State[Any]:
    """Evaluate the gate on what was staged."""
    return _state(steps.check_step(run_id, table, attempt, partition))


@task(
    tags=["publish"], task_run_name="{table} · publish", cache_policy=NO_CACHE, persist_result=False
)
def publish_table(
    run_id: str,
    table: str,
    attempt: Attempt | None,
    report: GateReport | None,
    partition: Partition | None = None,
) -> State[Any]:
    """Commit what was checked."""
    return _state(steps.publish_step(run_id, table, attempt, report, partition))


@task(task_run_name="{wanted.ref.label} · push", cache_policy=NO_CACHE, persist_result=False)
def push_table(run_id: str, wanted: Push) -> State[Any]:
    """Merge a gold table into a destination."""
    return _state(steps.push_step(run_id, wanted))


def _state(ended: StepResult[Any]) -> State[Any]:
    if ended.failed:
        return Failed(name=ended.name, message=ended.message)
    return Completed(name=ended.name, message=ended.message, data=ended.value)
