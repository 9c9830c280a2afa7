"""Any batching, permutation, duplication or replay of an event log gives the tables of the sorted log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import TypeAlias

import pytest
from pyspark.sql import SparkSession

from storage.base import TableStore
from storage.registry import FORMATS
from tasks.bench import Staged
from tasks.spec import DomainSpec
from tests.conftest import MakeLake
from tests.property import gold, model
from tests.property.accounting import all_events, counts, last_events, last_or_buried, quarantined
from tests.property.compare import assert_same, report
from tests.property.delivery import Delivered, plan_delivery, taken_in, write
from tests.property.domain import load_domain
from tests.property.driver import benches, quarantined_rows, rows_of, run_batch
from tests.property.events import Record, make_log
from tests.property.model import TABLES, Row
from tests.property.spans import bad_spans, deletes

Expected: TypeAlias = Callable[[Sequence[Record]], list[Row]]

EXPECTED: dict[str, tuple[Expected, list[str]]] = {
    "silver.accounts_soft": (model.accounts_soft, ["account_id"]),
    "silver.accounts_hard": (model.accounts_hard, ["account_id"]),
    "silver.accounts_history": (model.accounts_history, ["account_id", "valid_from"]),
    "silver.accounts_folded": (model.accounts_folded, ["account_id"]),
    "silver.account_events": (model.account_events, ["account_id", "changed_at", "version"]),
    "gold.plan_totals": (gold.plan_totals, ["plan"]),
    "gold.monthly_events": (gold.monthly_events, ["month"]),
    "gold.current_plans": (gold.current_plans, ["plan"]),
}
KEPT = {
    "accounts_soft": ("accounts_soft", last_events),
    "accounts_hard": ("accounts_hard", last_or_buried),
    "accounts_history": ("accounts_history__events", all_events),
    "accounts_folded": ("accounts_folded__events", all_events),
    "account_events": ("account_events", last_events),
}
"""The table that is fed row by row, and what it keeps."""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("format_name", FORMATS)
def test_any_delivery_gives_the_tables_of_the_sorted_log(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, format_name: str, seed: int
) -> None:
    random = Random(seed)
    plan = plan_delivery(random, make_log(random, events=320, keys=40), batches=8)
    domain, lake, landing = load_domain(), make_lake(format_name), tmp_path / "landing"
    store = lake.store(spark)
    runs = taken_in(plan)

    for number, batch in enumerate(plan):
        write(batch, landing)
        staged = run_batch(benches(spark, lake, domain, landing, number=number), domain)
        _assert_tables(store, domain, [d for run in runs[: number + 1] for d in run])
        _assert_conserved(staged, runs[: number + 1])

    versions = {ref: store.head(ref).version for ref in domain.tables()}
    again = run_batch(benches(spark, lake, domain, landing, number=len(plan)), domain)
    assert set(again.values()) == {None}
    assert {ref: store.head(ref).version for ref in domain.tables()} == versions

    number = len(plan) + 1
    run_batch(benches(spark, lake, domain, landing, number=number, rebuild=True), domain)
    _assert_tables(store, domain, [d for run in runs for d in run])


def _assert_tables(store: TableStore, domain: DomainSpec, delivered: Sequence[Delivered]) -> None:
    records = [d.record for d in delivered]
    for label, (expected, key) in EXPECTED.items():
        rows = rows_of(store, domain.ref(label))
        assert_same(rows, expected(records), key, name=label)
    history = rows_of(store, domain.ref("silver.accounts_history"))
    report(bad_spans(history, deletes(records)), "silver.accounts_history: bad spans")
    for name in TABLES:
        found = quarantined_rows(store, domain.ref(f"silver.{name}"))
        assert found == quarantined(name, delivered), name


def _assert_conserved(
    staged: dict[str, Staged | None], runs: Sequence[Sequence[Delivered]]
) -> None:
    for label, attempt in staged.items():
        rows = attempt.rows if attempt else {}
        if label.startswith("silver.") and "ingested" in rows:
            fates = ("published", "deduplicated", "quarantined", "rejected")
            assert rows["ingested"] == sum(rows[fate] for fate in fates), label
            assert rows["ingested"] == len(runs[-1]), label
    for name, (fed, kept) in KEPT.items():
        expected, attempt = counts(name, runs, kept)[-1], staged[f"silver.{fed}"]
        found = attempt.rows if attempt else {}
        for field in ("published", "deduplicated", "quarantined"):
            assert found.get(field, 0) == getattr(expected, field), f"silver.{name}: {field}"
