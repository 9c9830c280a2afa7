"""Deliveries run through the engine, and the whole lake compared with the model after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from pyspark.sql import SparkSession

from storage.base import TableStore
from storage.registry import Lake
from tasks.context import Attempt, Context, views
from tasks.domain.spec import DomainSpec, dependencies
from tasks.domain.sql_text import to_views
from tests.property import gold, model
from tests.property.accounting import all_events, counts, last_events, last_or_buried, quarantined
from tests.property.compare import assert_same, report
from tests.property.delivery import Batch, Delivered, taken_in, write
from tests.property.driver import ContextFactory, contexts, quarantined_rows, rows_of, run_batch
from tests.property.events import Record
from tests.property.model import TABLES, Row
from tests.property.spans import bad_spans, deletes

Expected: TypeAlias = Callable[[Sequence[Record]], list[Row]]

EXPECTED: dict[str, tuple[Expected, list[str]]] = {
    "silver.accounts_soft": (model.accounts_soft, ["account_id"]),
    "silver.accounts_hard": (model.accounts_hard, ["account_id"]),
    "silver.accounts_history": (model.accounts_history, ["account_id", "valid_from"]),
    "silver.accounts_folded": (model.accounts_folded, ["account_id"]),
    "silver.account_events": (model.account_events, ["account_id", "changed_at", "version"]),
    "silver.account_notes": (model.account_notes, ["account_id"]),
    "silver.plan_notes": (model.plan_notes, ["plan", "valid_from"]),
    "gold.plan_totals": (gold.plan_totals, ["plan"]),
    "gold.monthly_events": (gold.monthly_events, ["month", "plan"]),
    "gold.current_plans": (gold.current_plans, ["plan", "seats"]),
}
KEPT = {
    "accounts_soft": ("accounts_soft", last_events),
    "accounts_hard": ("accounts_hard", last_or_buried),
    "accounts_history": ("accounts_history__events", all_events),
    "accounts_folded": ("accounts_folded__events", all_events),
    "account_events": ("account_events", last_events),
    "account_notes": ("account_notes", last_events),
}
"""The table that is fed row by row, and what it keeps."""
OUTCOMES = ("published", "deduplicated", "quarantined", "rejected")


def run_delivery(
    spark: SparkSession, lake: Lake, domain: DomainSpec, landing: Path, plan: Sequence[Batch]
) -> Iterator[dict[str, Attempt | None]]:
    """Run each batch and compare the lake with the model.

    Yields:
        What the run of a batch staged, by table.

    Raises:
        AssertionError: A table is wrong.
    """
    store, runs = lake.store(spark), taken_in(plan)
    for number, batch in enumerate(plan):
        write(batch, landing)
        make_context = contexts(spark, lake, domain, landing, number=number)
        staged = run_batch(make_context, domain)
        assert_tables(store, domain, runs[: number + 1])
        assert_conserved(domain, staged, runs[: number + 1])
        assert_gold_is_its_query(make_context, domain)
        yield staged


def assert_nothing_left(
    spark: SparkSession, lake: Lake, domain: DomainSpec, landing: Path, plan: Sequence[Batch]
) -> None:
    """A run after the last batch changes no table; a rebuild ends in the same tables."""
    store = lake.store(spark)
    versions = {ref: store.head(ref).version for ref in domain.tables()}
    again = run_batch(contexts(spark, lake, domain, landing, number=len(plan)), domain)
    assert set(again.values()) == {None}
    assert {ref: store.head(ref).version for ref in domain.tables()} == versions

    number = len(plan) + 1
    run_batch(contexts(spark, lake, domain, landing, number=number, rebuild=True), domain)
    assert_tables(store, domain, taken_in(plan))


def assert_tables(
    store: TableStore, domain: DomainSpec, runs: Sequence[Sequence[Delivered]]
) -> None:
    """Every table, span and quarantined row is that of the model after the runs."""
    delivered = [d for run in runs for d in run]
    records = [d.record for d in delivered]
    there = {ref.label for ref in domain.tables()}
    for label, (expected, key) in EXPECTED.items():
        if label in there:
            assert_same(rows_of(store, domain.ref(label)), expected(records), key, name=label)
    history = rows_of(store, domain.ref("silver.accounts_history"))
    report(bad_spans(history, deletes(records)), "silver.accounts_history: bad spans")
    for name in TABLES:
        if f"silver.{name}" in there:
            found = quarantined_rows(store, domain.ref(f"silver.{name}"))
            assert found == quarantined(name, delivered), f"silver.{name}: quarantine"


def assert_conserved(
    domain: DomainSpec,
    staged: dict[str, Attempt | None],
    runs: Sequence[Sequence[Delivered]],
) -> None:
    """The last run accounts for each row that it took in, as the model does."""
    for label, attempt in staged.items():
        rows = attempt.rows if attempt else {}
        if label.startswith("silver.") and "ingested" in rows:
            assert rows["ingested"] == sum(rows[outcome] for outcome in OUTCOMES), label
            assert rows["ingested"] == len(runs[-1]), label
    for name, (fed, kept) in KEPT.items():
        if fed in domain.silver:
            expected, attempt = counts(name, runs, kept)[-1], staged[f"silver.{fed}"]
            found = attempt.rows if attempt else {}
            for field in ("published", "deduplicated", "quarantined"):
                assert found.get(field, 0) == getattr(expected, field), f"silver.{name}: {field}"


def assert_committed_once(
    store: TableStore, domain: DomainSpec, runs: Sequence[Sequence[Delivered]]
) -> None:
    """The commits of all runs together account for each row once, and bronze holds each once."""
    for name, (fed, kept) in KEPT.items():
        if fed not in domain.silver:
            continue
        entries = store.history(domain.ref(f"silver.{fed}"))
        rows = [entry.record.rows for entry in entries if entry.record is not None]
        for field in ("ingested", "published", "deduplicated", "quarantined", "rejected"):
            found = sum(row.get(field, 0) for row in rows)
            expected = sum(getattr(run, field) for run in counts(name, runs, kept))
            assert found == expected, f"silver.{fed}: {found} rows {field}, expected {expected}"
    bronze = rows_of(store, domain.ref("bronze.events"))
    places = {(row["_file_hash"], row["_record_number"]) for row in bronze}
    assert len(places) == len(bronze), "bronze.events holds a record twice"
    assert len(bronze) == sum(len(run) for run in runs), "bronze.events: number of records"


def assert_gold_is_its_query(make_context: ContextFactory, domain: DomainSpec) -> None:
    """Gold, computed group by group, is what its query gives over all of silver."""
    context = make_context()
    for name, spec in domain.gold.items():
        ref = domain.ref(f"gold.{name}")
        assert_same(rows_of(context.store, ref), full_rows(context, name), spec.key, name=ref.label)


def full_rows(context: Context, name: str) -> list[Row]:
    """A gold table computed whole from its inputs as they are now."""
    inputs = dependencies(context.domain)[f"gold.{name}"]
    views(
        context,
        {label: str(context.store.head(context.domain.ref(label)).version) for label in inputs},
    )
    query = context.store.session.sql(to_views(context.sql(context.domain.gold[name].sql)))
    rows: list[Row] = query.toArrow().to_pylist()
    return rows
