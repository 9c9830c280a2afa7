"""The steps of a run as plain calls, table by table, and what is in the tables then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from pyspark.sql import SparkSession

from checks.soda_scanner import SodaScanner
from storage.base import TableStore
from storage.registry import Lake
from storage.types import TableRef
from tasks import bronze, derived, silver, tables
from tasks.bench import Bench, RunInfo, Staged
from tasks.gate import check, is_derived
from tasks.publish import publish
from tasks.quarantine import table as quarantine_of
from tasks.spec import DomainSpec
from tests.property.model import Row

BenchFactory: TypeAlias = Callable[[], Bench]
FIRST_RUN = datetime(2024, 6, 1, tzinfo=UTC)


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

    def make() -> Bench:
        return Bench(
            store=lake.store(spark),
            scanner=SodaScanner(),
            domain=domain,
            landing=landing,
            staging=lake.root / "_staging",
            run=run,
        )

    return make


def run_batch(make_bench: BenchFactory, domain: DomainSpec) -> dict[str, Staged | None]:
    """Bring every table up to date, each after those it reads.

    Returns:
        What was staged for each table, by `layer.table`; None where nothing was new.

    Raises:
        AssertionError: A gate blocked.
    """
    return {ref.label: _bring_up_to_date(make_bench(), ref) for ref in domain.tables()}


def _bring_up_to_date(bench: Bench, ref: TableRef) -> Staged | None:
    staged = stage(bench, ref)
    if staged is not None:
        check_and_publish(bench, staged)
    return staged


def stage(bench: Bench, ref: TableRef) -> Staged | None:
    """Create the table where it is not there, and stage what is new."""
    tables.create(bench, ref)
    if ref.layer == "bronze":
        return bronze.stage(bench, ref)
    return derived.stage(bench, ref) if is_derived(bench, ref) else silver.stage(bench, ref)


def check_and_publish(bench: Bench, staged: Staged) -> None:
    """Publish what was staged.

    Raises:
        AssertionError: Its gate blocked.
    """
    gate = check(bench, staged)
    reasons = "; ".join(gate.verdict.reasons)
    assert not gate.verdict.blocked, f"{staged.table.label}: {reasons}"
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
