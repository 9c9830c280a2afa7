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
from storage.session import jvm_pid
from storage.types import TableRef
from tasks import bronze, changes, derived, silver, tables
from tasks.bench import Bench, RunInfo, Staged
from tasks.gate import check, is_derived
from tasks.publish import publish
from tasks.quarantine import table as quarantine_of
from tasks.spec import DomainSpec, dependencies
from tests.property.model import Row

BenchFactory: TypeAlias = Callable[[], Bench]
Told: TypeAlias = Callable[[str, str], None]
"""Told the table (`layer.table`) and the step that it is in now; the step is empty after the last."""
FIRST_RUN = datetime(2024, 6, 1, tzinfo=UTC)
WORKERS = 4
"""Tables worked on at once, as in the configuration."""


def benches(
    spark: SparkSession,
    lake: Lake,
    domain: DomainSpec,
    landing: Path,
    *,
    number: int,
    rebuild: bool = False,
) -> BenchFactory:
    """Makes the benches of run `number`, each on a session of its own; runs start an hour apart."""
    started = FIRST_RUN + timedelta(hours=number)
    run = RunInfo(f"run-{number:03}", started, "test", rebuild=rebuild)
    pid = jvm_pid(spark)

    def make() -> Bench:
        return Bench(
            store=lake.store(spark, pid),
            scanner=SodaScanner(),
            domain=domain,
            landing=landing,
            staging=lake.root / "_staging",
            run=run,
        )

    return make


def run_batch(
    make_bench: BenchFactory, domain: DomainSpec, told: Told = lambda label, step: None
) -> dict[str, Staged | None]:
    """Bring every table up to date, each after those it reads, and remove what nobody reads any more.

    Returns:
        What was staged for each table, by `layer.table`; None where nothing was new.

    Raises:
        AssertionError: A gate blocked.
    """
    graph = dependencies(domain)
    published: dict[str, Future[Staged | None]] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        for ref in domain.tables():
            upstream = [published[label] for label in graph[ref.label]]
            published[ref.label] = pool.submit(_bring_up_to_date, make_bench, ref, upstream, told)
    staged = {label: future.result() for label, future in published.items()}
    told("the lake", "prune")
    changes.prune(make_bench())
    told("the lake", "")
    return staged


def _bring_up_to_date(
    make_bench: BenchFactory, ref: TableRef, upstream: Sequence[Future[Staged | None]], told: Told
) -> Staged | None:
    for future in upstream:
        future.result()
    bench = make_bench()
    told(ref.label, "stage")
    staged = stage(bench, ref)
    if staged is not None:
        check_and_publish(bench, staged, told)
    told(ref.label, "")
    return staged


def stage(bench: Bench, ref: TableRef) -> Staged | None:
    """Create the table where it is not there, and stage what is new."""
    tables.create(bench, ref)
    if ref.layer == "bronze":
        return bronze.stage(bench, ref)
    return derived.stage(bench, ref) if is_derived(bench, ref) else silver.stage(bench, ref)


def check_and_publish(bench: Bench, staged: Staged, told: Told = lambda label, step: None) -> None:
    """Publish what was staged.

    Raises:
        AssertionError: Its gate blocked.
    """
    told(staged.table.label, "check")
    gate = check(bench, staged)
    reasons = "; ".join(gate.verdict.reasons)
    assert not gate.verdict.blocked, f"{staged.table.label}: {reasons}"
    told(staged.table.label, "publish")
    publish(bench, staged, gate)


def rows_of(store: TableStore, ref: TableRef) -> list[Row]:
    """The rows of a table, without Spark where the format allows it."""
    table = store.read_arrow(ref) if store.obstacle(ref) is None else store.read(ref).toArrow()
    rows: list[Row] = table.to_pylist()
    return rows


def quarantined_rows(store: TableStore, ref: TableRef) -> list[tuple[str, int, str]]:
    """File, record number and rule of each quarantined row."""
    rows = rows_of(store, quarantine_of(ref))
    return sorted((row["_source_file"], row["_record_number"], row["_rule"]) for row in rows)
