"""The push of gold tables as Prefect tasks: after their publication, reported like a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import Task
from prefect.futures import PrefectFuture

from flows.runs import Run
from flows.step_tasks import push_table, with_retries
from tasks.destinations.push import sweep
from tasks.domain.spec import Push


def submit_pushes(
    run: Run, pushes: Sequence[Push], published: Mapping[str, PrefectFuture[Any]]
) -> list[PrefectFuture[Any]]:
    """Submit each push after the publication of its gold table, where that is in the run."""
    retry, run_id = run.runtime.config.retry, run.runtime.run.run_id
    if pushes:
        sweep(run.runtime.context(spark=False))
    futures = []
    for wanted in pushes:
        step: Task[..., Any] = with_retries(push_table, retry, f"{wanted.ref.label} · push")
        upstream = [published[wanted.table.label]] if wanted.table.label in published else []
        futures.append(step.submit(run_id, wanted, wait_for=upstream))
    return futures
