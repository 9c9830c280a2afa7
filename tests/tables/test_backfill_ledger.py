"""Plans of backfills and what their ledger says, without Spark."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from checks.soda_scanner import SodaScanner
from conf.load import load_config
from flows.cli.backfill import parse
from flows.runtime import lake_of
from storage.base import TableStore
from storage.errors import ConfigurationError
from storage.types import CommitRecord
from tasks.context import Context, RunInfo
from tasks.domain.schemas import quarantine_of
from tasks.manage import backfill
from tasks.manage.backfill import Request, planned
from tasks.notes import Notes
from tasks.ops.tables import ops_table
from tasks.records.backfill_ledger import Backfill, State, known, ledger, record
from tasks.records.decisions import Decision, resolve
from tasks.rows.partitions import Partition
from tasks.run_table import kind_of
from tests.property.domain import load_domain

FROM, TO = dt.date(2024, 1, 1), dt.date(2024, 4, 1)
EVENTS = Request(("account_events",), FROM, TO)


@pytest.fixture(params=["delta", "iceberg"])
def store(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> TableStore:
    return lake_of(make_config(request.param, tmp_path)).store(None)


@pytest.fixture
def context(store: TableStore, tmp_path: Path) -> Context:
    run = RunInfo("run-1", dt.datetime(2024, 6, 1, tzinfo=dt.UTC), "test")
    return Context(store, SodaScanner(), load_domain(), tmp_path, tmp_path, run)


def _commit(store: TableStore, plan: Backfill, partition: Partition, **notes: Any) -> None:
    token = f"{plan.id} {partition.label}"
    part = Notes(backfill=plan.part(partition), **notes)
    made = CommitRecord("run-1", token, notes=part.stored())
    store.append_arrow(plan.tables[0], pa.table({"id": ["a"]}), made)


def _states(store: TableStore, plan: Backfill) -> list[str]:
    return [entry.state.value for entry in ledger(store, plan).values()]


def test_the_same_request_has_the_same_id(context: Context) -> None:
    plan = planned(context, EVENTS)
    assert planned(context, EVENTS) == plan
    other = Request(("account_events",), FROM, dt.date(2024, 3, 1))
    assert planned(context, other).id != plan.id


def test_a_batch_that_was_rejected_begins_the_same_request_anew(
    store: TableStore, context: Context
) -> None:
    before = planned(context, EVENTS)
    for decision in (Decision.accepted, Decision.rejected):
        resolve(store, "accounts", batch_id="events-1", table_name="bronze.events",
               decision=decision, reason="", by="test")  # fmt: skip
        assert (planned(context, EVENTS).id == before.id) is (decision is Decision.accepted)


def test_a_date_that_is_empty_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="start= is not a date"):
        parse(["tables=[orders]", "start=", "end="])


def test_again_counts_up_and_is_then_resumed(store: TableStore, context: Context) -> None:
    first = planned(context, EVENTS)
    _commit(store, first, first.partitions[0])
    second = planned(context, Request(("account_events",), FROM, TO, again=True))
    assert (first.id[-2:], second.id[-2:]) == ("-1", "-2")
    assert planned(context, EVENTS) == first
    record(store, second, "run-2", {(second.tables[0], second.partitions[0]): (State.running, "")})
    assert planned(context, EVENTS) == second


def test_done_is_what_a_commit_record_says(store: TableStore, context: Context) -> None:
    plan = planned(context, EVENTS)
    table, (january, february, march) = plan.tables[0], plan.partitions
    assert _states(store, plan) == ["missing"] * 3
    record(store, plan, "run-1", {(table, p): (State.running, "") for p in plan.partitions})
    assert _states(store, plan) == ["running"] * 3
    record(store, plan, "run-1", {(table, january): (State.done, "")})
    record(store, plan, "run-1", {(table, march): (State.failed, "disk is full")})
    assert _states(store, plan) == ["missing", "running", "failed"]
    _commit(store, plan, january)
    _commit(store, plan, february)
    assert _states(store, plan) == ["done", "done", "failed"]
    store.drop(ops_table("backfills"))
    assert _states(store, plan) == ["done", "done", "missing"]


def test_running_in_a_process_that_ended_is_failed(
    store: TableStore, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(context, EVENTS)
    record(store, plan, "run-1", {(plan.tables[0], plan.partitions[0]): (State.running, "")})
    monkeypatch.setattr("psutil.Process.create_time", lambda self: 0.0)
    first = next(iter(ledger(store, plan).values()))
    assert (first.state, first.message) == (State.failed, "its process ended")


def test_a_partition_is_not_done_while_the_quarantine_holds_what_it_released(
    store: TableStore, context: Context
) -> None:
    plan = planned(context, EVENTS)
    table, january = plan.tables[0], plan.partitions[0]
    _commit(store, plan, january, releases=3)
    held = quarantine_of(table)
    store.append_arrow(held, pa.table({"id": ["a"]}), CommitRecord("run-1", "other"))
    assert _states(store, plan)[0] == "missing"
    token = f"{plan.id} {january.label}.leave"
    store.append_arrow(held, pa.table({"id": ["a"]}), CommitRecord("run-1", token))
    assert _states(store, plan)[0] == "done"


def test_backfills_of_a_domain_are_counted(store: TableStore, context: Context) -> None:
    plan = planned(context, EVENTS)
    assert known(store, plan.domain, plan.tables) == []
    _commit(store, plan, plan.partitions[0])
    record(store, plan, "run-1", {(plan.tables[0], plan.partitions[1]): (State.blocked, "score")})
    (row,) = known(store, plan.domain, plan.tables)
    assert (row["backfill"], row["tables"]) == (plan.id, ["silver.account_events"])
    assert (row["done"], row["blocked"], row["missing"]) == (1, 1, 0)


def test_a_history_is_restated_after_its_events(context: Context) -> None:
    plan = planned(context, Request(("accounts_history",), FROM, TO))
    labels = [table.label for table in plan.tables]
    assert labels == ["silver.accounts_history__events", "silver.accounts_history"]


def test_without_tables_those_with_partitions_are_taken(context: Context) -> None:
    labels = {table.label for table in planned(context, Request((), FROM, TO)).tables}
    assert "silver.accounts_soft" in labels
    assert "silver.accounts_hard" not in labels
    assert "silver.accounts_hard" in {t.label for t in planned(context, Request()).tables}


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        (["accounts_hard"], "silver.accounts_hard has no partitions: it declares none"),
        (["gold.current_plans"], "none of its inputs declares partition"),
        (["bronze.events"], "append-only"),
        (["acounts"], "'silver.acounts' is none of"),
    ],
)
def test_what_has_no_partitions_is_refused(context: Context, tables: list[str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        planned(context, Request(tuple(tables), FROM, TO))


def test_what_is_computed_whole_says_so() -> None:
    domain = load_config([]).domain

    def undivided(label: str) -> str:
        return kind_of(domain, domain.ref(label)).undivided(domain)

    reason = undivided("gold.customer_segments")
    assert reason.startswith("it is computed whole (the fifths are ranks over all customers")
    assert not undivided("gold.daily_revenue")
    assert not undivided("silver.customer_addresses")


def test_gold_is_downstream_of_the_tables_that_it_reads() -> None:
    domain = load_config([]).domain
    labels = [t.label for t in backfill.downstream(domain, [domain.ref("silver.order_payments")])]
    assert labels == ["gold.churn_features"]
    up = [t.label for t in backfill.upstream(domain, [domain.ref("silver.products")])]
    assert set(up) == {
        "bronze.products", "bronze.category_translation", "silver.category_translation",
        "silver.products",
    }  # fmt: skip


def test_dates_and_tables_are_told_from_the_configuration() -> None:
    given = parse(["domain=olist", "tables=[orders,gold.daily_revenue]", "start=2018-03-01",
                   "end=2018-04-01", "format=delta"])  # fmt: skip
    assert given.overrides == ("domain=olist", "format=delta")
    assert given.tables == ("orders", "gold.daily_revenue")
    assert (given.start, given.end) == (dt.date(2018, 3, 1), dt.date(2018, 4, 1))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["start=2018-03", "end=2018-04-01"], "start=2018-03 is not a date"),
        (["start=2018-04-01", "end=2018-04-01"], "holds no day"),
        (["start=2018-04-01"], "both start and end"),
    ],
)
def test_wrong_dates_are_refused(words: list[str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse(words)
