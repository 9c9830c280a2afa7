"""The pipeline: every table of a domain from files to gold, each through stage, check and publish."""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from prefect import State, Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from conf.load import load_parameters
from conf.schema import Config
from flows.execution import MOST_WORKERS, execute, news
from flows.forms import Environment, FormatName, Layer
from flows.limits import run_slot
from flows.progress import Progress, Silent
from flows.pushing import submit_pushes
from flows.report.artifacts import publish_artifacts
from flows.report.summary import Summary
from flows.runs import Run, forget, register, registered
from flows.runtime import Runtime, domain_lock, new_run, spark_session
from flows.step_tasks import check_table, publish_table, stage_table, with_retries
from storage.types import TableRef
from tasks.domain.spec import Push, dependencies

STEPS: dict[str, Task[..., Any]] = {
    "stage": stage_table,
    "check": check_table,
    "publish": publish_table,
}


@dataclass(frozen=True)
class Caller:
    """What the command line knows beside the flow's parameters.

    Attributes:
        config: The parameters, composed already.
        progress: Told what the run does.
        again: Files that `lakehouse ingest --again` names.
    """

    config: Config
    progress: Progress
    again: tuple[str, ...] = ()


CALLER: contextvars.ContextVar[Caller | None] = contextvars.ContextVar("caller", default=None)
"""Set by the command line around its call; a run without it tells nobody but Prefect."""


@flow(
    name="pipeline",
    flow_run_name="{domain}-{format}-{env}",
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_WORKERS),  # type: ignore[arg-type]
    persist_result=False,
)
def pipeline(  # noqa: PLR0917 - flat parameters make the form in the UI
    domain: str = "olist",
    env: Environment = "dev",
    format: FormatName = "delta",
    layers: list[Layer] | None = None,
    tables: list[str] | None = None,
    as_of: dt.date | None = None,
    rebuild: bool = False,
    overrides: list[str] | None = None,
) -> State[Any]:
    """Bring every table of a domain up to date.

    Args:
        domain: The domain to run.
        env: Environment: dev, test or prod.
        format: Table format: delta or iceberg.
        layers: Layers to run; all when empty. The layer destination pushes gold tables.
        tables: Tables to run, as layer.table; all when empty.
        as_of: Business date that freshness is measured against; the newest in silver when empty.
        rebuild: Rebuild silver and gold from bronze.
        overrides: Further Hydra overrides, key=value; only some keys are allowed.
    """
    caller = CALLER.get()
    if caller is None:
        given = {"layers": layers or [], "tables": tables or []}
        instant = {"as_of": str(as_of)} if as_of else {}
        groups = {"domain": domain, "env": env, "format": format}
        caller = Caller(load_parameters(groups, overrides or [], {**given, **instant}), Silent())
    config = caller.config
    info = new_run(rebuild=rebuild, again=caller.again, as_of=config.as_of)
    run = Run(Runtime(config, info), caller.progress)
    register(run)
    try:
        with turn(run):
            return _execute(run)
    finally:
        forget(run)


@contextlib.contextmanager
def turn(run: Run) -> Iterator[None]:
    """While inside, no other run works on the domain."""
    with run_slot(), domain_lock(run.runtime):
        yield


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE, persist_result=False)
def plan_run(run_id: str, tables: list[TableRef]) -> State[Any]:
    """Find out from metadata alone whether anything is new."""
    found = news(registered(run_id), tables)
    message = f"{len(found)} tables have news" if found else "nothing new"
    return Completed(message=message, data=found)


@task(name="start Spark", task_run_name="start Spark", cache_policy=NO_CACHE, persist_result=False)
def start_spark(run_id: str) -> State[Any]:
    """Start the process's Spark session, so that its time is seen as its own."""
    session = spark_session(registered(run_id).runtime.config)
    return Completed(message=f"Spark {session.version}, {session.sparkContext.master}")


class PrefectRunner:
    """Carries out the steps of a run as Prefect tasks."""

    def plan(self, run: Run, tables: Sequence[TableRef]) -> Sequence[str]:
        """Labels of the tables that have news."""
        found: Any = plan_run(run.runtime.run.run_id, list(tables))
        return cast("Sequence[str]", found)

    def start_spark(self, run: Run) -> None:
        """Start the process's Spark session."""
        start_spark(run.runtime.run.run_id)

    def work(self, run: Run, wanted: Sequence[TableRef], pushes: Sequence[Push]) -> None:
        """Submit the steps of every table, each table after those it reads, and then the pushes."""
        work(run, wanted, pushes)


def _execute(run: Run) -> State[Any]:
    summary = execute(run, PrefectRunner())
    publish_artifacts(summary)
    return as_state(summary)


def work(run: Run, wanted: Sequence[TableRef], pushes: Sequence[Push] = ()) -> None:
    """Submit the steps of every table, each table after those it reads, and then the pushes."""
    retry, run_id = run.runtime.config.retry, run.runtime.run.run_id
    graph = dependencies(run.runtime.config.domain)
    published: dict[str, PrefectFuture[Any]] = {}
    for ref in wanted:
        stage, check, publish = (
            with_retries(step, retry, f"{ref.label} · {name}") for name, step in STEPS.items()
        )
        upstream = [published[label] for label in graph[ref.label] if label in published]
        attempt = stage.submit(run_id, ref.label, wait_for=upstream)
        report = check.submit(run_id, ref.label, attempt)
        published[ref.label] = publish.submit(run_id, ref.label, attempt, report)
    for future in [*published.values(), *submit_pushes(run, pushes, published)]:
        future.wait()


def as_state(summary: Summary, data: object | None = None) -> State[Any]:
    """The state that a run ends in; its data is the summary, or what holds it."""
    data = summary if data is None else data
    if summary.status == "done":
        return Completed(message=summary.message, data=data)
    return Failed(
        name="Blocked" if summary.status == "blocked" else "Failed",
        message=summary.message,
        data=data,
    )
