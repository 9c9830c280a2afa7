"""What tables remember of a contract and of their newest delivery."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flows.runtime import Runtime
from storage.types import CommitRecord, SourceFile, TableRef
from tasks.context import Attempt, Context, RunInfo
from tasks.gate import freshness
from tasks.ops.tables import RUNS, add_lacking_columns, append_rows, lacking_columns, ops_table
from tasks.records.contracts import contract_of, known, outdated, remember

ORDERS = TableRef("olist", "silver", "orders")
BRONZE = TableRef("olist", "bronze", "orders")
DAILY = TableRef("olist", "gold", "daily_revenue")
ROWS = pa.table({"id": ["a"]})


@pytest.fixture(params=["delta", "iceberg"])
def context(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Context:
    config = make_config(request.param, tmp_path)
    return Runtime(config, RunInfo("run-1", datetime.now(UTC), "1.0")).context(spark=False)


def test_a_remembered_contract_tells_what_changed(context: Context) -> None:
    written = CommitRecord("run-0", "t", contract=contract_of(context, ORDERS), code="1.0")
    context.store.append_arrow(ORDERS, ROWS, written)
    remember(context, [ORDERS, BRONZE])
    remember(context, [ORDERS])
    assert list(known(context.store)) == [written.contract]
    assert outdated(context, [ORDERS]) == []
    context.domain.silver["orders"].columns["order_status"].type = "int"
    (found,) = outdated(context, [ORDERS])
    assert str(found) == "silver.orders (column order_status: string → int)"
    other = replace(written, token="t2", contract="0" * 16)
    context.store.append_arrow(ORDERS, ROWS, other)
    (found,) = outdated(context, [ORDERS])
    assert str(found).startswith("silver.orders (contract 0000000000000000 of version 1.0, now ")


def _deliver(context: Context) -> str:
    """A delivery in bronze that silver has consumed; the version of bronze."""
    file = SourceFile("a.csv", "00", 1, 1, "b1", 1)
    done = context.store.append_arrow(BRONZE, ROWS, CommitRecord("run-0", "t", files=(file,)))
    inputs = {"bronze.orders": str(done.version)}
    context.store.append_arrow(ORDERS, ROWS, CommitRecord("run-0", "t", inputs=inputs))
    return str(done.version)


def test_a_table_is_overdue_when_its_newest_delivery_is_too_old(context: Context) -> None:
    for table in (context.domain.bronze["orders"], context.domain.silver["orders"]):
        table.freshness = "26 hours"
    assert freshness.overdue(context, [BRONZE]) == [
        "bronze.orders is overdue: nothing delivered yet"
    ]
    version = _deliver(context)
    assert freshness.overdue(context, [BRONZE, ORDERS, DAILY]) == []
    later = replace(
        context, run=replace(context.run, started_at=datetime.now(UTC) + timedelta(hours=27))
    )
    says = "is overdue: the newest delivery is 27.0 hours old, allowed are 26 hours"
    assert freshness.overdue(later, [BRONZE, ORDERS, DAILY]) == [
        f"bronze.orders {says}", f"silver.orders {says}"
    ]  # fmt: skip
    # Writing the table again does not make it fresher.
    again = CommitRecord("run-1", "t2", inputs={"bronze.orders": version})
    context.store.append_arrow(ORDERS, ROWS, again)
    came = context.store.history(BRONZE)[0].committed_at
    assert freshness.arrived(context.store, context.domain, ORDERS) == came
    assert context.store.head(ORDERS).committed_at > came
    context.store.append_arrow(BRONZE, ROWS, CommitRecord("run-1", "t3"))  # no delivery
    assert freshness.arrived(context.store, context.domain, BRONZE) == came


@pytest.mark.parametrize(("hours", "outcome"), [(25, "pass"), (27, "warn")])
def test_the_gate_warns_of_what_is_staged_too_late(
    context: Context, hours: int, outcome: str
) -> None:
    version = _deliver(context)
    later = replace(
        context, run=replace(context.run, started_at=datetime.now(UTC) + timedelta(hours=hours))
    )
    attempt = Attempt(ORDERS, "t", "", inputs={"bronze.orders": version})
    assert freshness.checks(later, attempt) == []
    context.domain.silver["orders"].freshness = "26 hours"
    (check,) = freshness.checks(later, attempt)
    assert (check.outcome.value, check.threshold) == (outcome, "<= 26 hours")


def test_operational_tables_get_the_columns_they_lack(context: Context) -> None:
    old = pa.table({"run_id": ["run-0"], "domain": ["olist"]})
    context.store.append_arrow(ops_table("runs"), old, CommitRecord("run-0", "t"))
    lacking = [c.name for c in lacking_columns(context.store)["runs"]]
    assert set(lacking) == set(RUNS.names) - {"run_id", "domain"}
    append_rows(
        context.store, "runs", [{"run_id": "run-1", "code": "2"}], CommitRecord("run-1", "t1")
    )
    rows = {r["run_id"]: r["code"] for r in context.store.read_arrow(ops_table("runs")).to_pylist()}
    assert rows == {"run-0": None, "run-1": "2"}
    assert add_lacking_columns(context.store) == {}
