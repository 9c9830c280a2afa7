"""The push of gold tables as Prefect tasks: after their publication, reported like a layer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Completed

from flows.runs import Run, registered
from flows.steps import guarded, with_retries
from tasks.destinations.push import Pushed, push, sweep
from tasks.ops import TableOutcome
from tasks.planning import is_behind
from tasks.spec import Push


@task(task_run_name="{wanted.ref.label} · push", cache_policy=NO_CACHE, persist_result=False)
def push_table(run_id: str, wanted: Push) -> State[Any]:
    """Merge a gold table into a destination."""
    run, ref = registered(run_id), wanted.ref
    runtime, started = run.runtime, time.monotonic()
    run.progress.step(ref, "push")

    def work() -> Pushed | None:
        bench = runtime.bench(spark=False)
        if not is_behind(bench, wanted, runtime.config.layers):
            return None
        return push(bench, wanted, runtime.bench)

    done = guarded(run, ref, work)
    if done is None or not done.changed:
        run.settle(TableOutcome(ref, "unchanged", version=done.version if done else ""))
        return Completed(name="Unchanged", message="nothing new")
    rows = {"computed": done.staged, "published": done.written, "removed": done.removed}
    seconds = round(time.monotonic() - started, 3)
    run.settle(TableOutcome(ref, "pushed", rows, seconds, done.version))
    sent = f"{done.staged:,} rows sent, {done.written:,} written, {done.removed:,} removed"
    return Completed(message=f"{sent}, as of version {done.version}")


def submit_pushes(
    run: Run, pushes: Sequence[Push], published: Mapping[str, PrefectFuture[Any]]
) -> list[PrefectFuture[Any]]:
    """Submit each push after the publication of its gold table, where that is in the run."""
    retry, run_id = run.runtime.config.retry, run.runtime.run.run_id
    if pushes:
        sweep(run.runtime.bench(spark=False))
    futures = []
    for wanted in pushes:
        step: Task[..., Any] = with_retries(push_table, retry, f"{wanted.ref.label} · push")
        upstream = [published[wanted.table.label]] if wanted.table.label in published else []
        futures.append(step.submit(run_id, wanted, wait_for=upstream))
    return futures
