"""The steps of a run as plain calls, table by table, and what is in the tables then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from pyspark.sql import SparkSession

from checks.soda_scanner import SodaScanner
from storage.base import TableStore
from storage.registry import Lake
from storage.spark.session import jvm_pid
from storage.types import TableRef
from tasks import run_table
from tasks.context import Attempt, Context, RunInfo
from tasks.domain.schemas import quarantine_of
from tasks.domain.spec import DomainSpec, dependencies
from tasks.records import changes
from tasks.run_table import check, publish
from tests.property.model import Row

ContextFactory: TypeAlias = Callable[[], Context]
Told: TypeAlias = Callable[[str, str], None]
"""Told the table (`layer.table`) and the step that it is in now; the step is empty after the last."""
FIRST_RUN = datetime(2024, 6, 1, tzinfo=UTC)
WORKERS = 4
"""Tables worked on at once, as in the configuration."""


def contexts(
    spark: SparkSession,
    lake: Lake,
    domain: DomainSpec,
    landing: Path,
    *,
    number: int,
    rebuild: bool = False,
) -> ContextFactory:
    """Makes the contexts of run `number`, each on a session of its own; runs start an hour apart."""
    started = FIRST_RUN + timedelta(hours=number)
    run = RunInfo(f"run-{number:03}", started, "test", rebuild=rebuild)
    pid = jvm_pid(spark)

    def make() -> Context:
        return Context(
            store=lake.store(spark, pid),
            scanner=SodaScanner(),
            domain=domain,
            landing=landing,
            staging=lake.root / "_staging",
            run=run,
        )

    return make


def run_batch(
    make_context: ContextFactory, domain: DomainSpec, told: Told = lambda label, step: None
) -> dict[str, Attempt | None]:
    """Bring every table up to date, each after those it reads, and remove what nobody reads any more.

    Returns:
        What was staged for each table, by `layer.table`; None where nothing was new.

    Raises:
        AssertionError: A gate blocked.
    """
    graph = dependencies(domain)
    published: dict[str, Future[Attempt | None]] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        for ref in domain.tables():
            upstream = [published[label] for label in graph[ref.label]]
            published[ref.label] = pool.submit(_after, upstream, make_context, ref, told)
    attempt = {label: future.result() for label, future in published.items()}
    told("the lake", "prune")
    changes.prune(make_context())
    told("the lake", "")
    return attempt


def _after(
    upstream: Sequence[Future[Attempt | None]],
    make_context: ContextFactory,
    ref: TableRef,
    told: Told,
) -> Attempt | None:
    for future in upstream:
        future.result()
    return bring_up_to_date(make_context(), ref, told)


def bring_up_to_date(
    context: Context, ref: TableRef, told: Told = lambda label, step: None
) -> Attempt | None:
    """Take one table through a run; what was staged, None where nothing was new.

    Raises:
        AssertionError: Its gate blocked.
    """
    told(ref.label, "stage")
    attempt = stage(context, ref)
    if attempt is not None:
        check_and_publish(context, attempt, told)
    told(ref.label, "")
    return attempt


def stage(context: Context, ref: TableRef) -> Attempt | None:
    """Create the table where it is not there, and stage what is new."""
    run_table.create(context, ref)
    return run_table.stage(context, ref)


def check_and_publish(
    context: Context, attempt: Attempt, told: Told = lambda label, step: None
) -> None:
    """Publish what was staged.

    Raises:
        AssertionError: Its gate blocked.
    """
    told(attempt.table.label, "check")
    gate = check(context, attempt)
    reasons = "; ".join(gate.verdict.reasons)
    assert not gate.verdict.blocked, f"{attempt.table.label}: {reasons}"
    told(attempt.table.label, "publish")
    publish(context, attempt, gate)


def rows_of(store: TableStore, ref: TableRef) -> list[Row]:
    """The rows of a table, without Spark where the format allows it."""
    table = store.read_arrow(ref) if store.obstacle(ref) is None else store.read(ref).toArrow()
    rows: list[Row] = table.to_pylist()
    return rows


def quarantined_rows(store: TableStore, ref: TableRef) -> list[tuple[str, int, str]]:
    """File, record number and rule of each quarantined row."""
    rows = rows_of(store, quarantine_of(ref))
    return sorted((row["_source_file"], row["_record_number"], row["_rule"]) for row in rows)
