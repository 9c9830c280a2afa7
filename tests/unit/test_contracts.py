"""What differs between two meanings, freshness, and the published contract; without Spark."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flows.runtime import Runtime
from storage.types import CommitRecord, SourceFile, TableRef
from tasks.authoring import odcs
from tasks.context import Attempt, Context, RunInfo
from tasks.domain.spec import ColumnSpec, Fold, RuleSpec
from tasks.gate import freshness
from tasks.ops.tables import RUNS, add_lacking_columns, append_rows, lacking_columns, ops_table
from tasks.records.contracts import contract_of, differences, known, meaning, outdated, remember
from tasks.validation import problems

ORDERS = TableRef("olist", "silver", "orders")
BRONZE = TableRef("olist", "bronze", "orders")
DAILY = TableRef("olist", "gold", "daily_revenue")
ROWS = pa.table({"id": ["a"]})


@pytest.fixture(params=["delta", "iceberg"])
def context(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Context:
    config = make_config(request.param, tmp_path)
    return Runtime(config, RunInfo("run-1", datetime.now(UTC), "1.0")).context(spark=False)


def test_each_declaration_that_differs_is_named(context: Context) -> None:
    old = copy.deepcopy(meaning(context, ORDERS))
    spec = context.domain.silver["orders"]
    spec.columns["order_status"].type = "int"
    spec.columns["order_date"].expr = "current_date()"
    spec.columns["more"] = ColumnSpec()
    spec.rules["early"] = RuleSpec("order_date < '2000-01-01'", "order_date", "is too early")
    del spec.rules["delivery_too_long"]
    spec.key = ["order_id", "more"]
    new = meaning(context, ORDERS)
    assert set(differences(old, new)) == {
        "column order_status: string → int",
        "column order_date expr: to_date(order_purchase_timestamp) → current_date()",
        "column more added",
        "rule early added",
        "rule delivery_too_long dropped",
        "key: ['order_id'] → ['order_id', 'more']",
    }
    assert differences(new, new) == ()


def test_sql_order_and_engine_are_named(context: Context) -> None:
    new = meaning(context, DAILY)
    old = copy.deepcopy(new) | {"engine": 1, "order": new["order"][::-1]}
    old["sql"]["gold/daily_revenue.sql"] = "select 1"
    assert differences(old, new) == (
        "the platform computes it differently now",
        "the order of the columns changed",
        "SQL of gold/daily_revenue.sql changed",
    )


def test_the_order_of_columns_is_part_of_the_contract(context: Context) -> None:
    before = contract_of(context, ORDERS)
    spec = context.domain.silver["orders"]
    spec.columns = dict(reversed(spec.columns.items()))
    assert contract_of(context, ORDERS) != before


def test_what_changes_no_row_is_no_part_of_it(context: Context) -> None:
    before = contract_of(context, ORDERS)
    spec = context.domain.silver["orders"]
    spec.owner, spec.freshness, spec.anomalies = "me", "1 hour", context.domain.anomalies
    spec.columns["order_id"].personal = ["name"]
    assert contract_of(context, ORDERS) == before


def test_a_fold_is_part_of_it_where_there_is_one(context: Context) -> None:
    plain, spec = meaning(context, DAILY), context.domain.gold["daily_revenue"]
    assert "fold" not in plain["declared"]
    spec.fold = {"last": Fold.min}
    wrong, written = json.loads(json.dumps(meaning(context, DAILY))), contract_of(context, DAILY)
    spec.fold = {"last": Fold.max}
    assert contract_of(context, DAILY) != written
    assert differences(wrong, meaning(context, DAILY)) == (
        "fold: {'last': 'min'} → {'last': 'max'}",
    )
    spec.fold, spec.groups, spec.group_by = {}, {}, ["last"]
    assert meaning(context, DAILY) == plain


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


def test_a_wrong_freshness_and_an_unknown_personal_column_are_named(context: Context) -> None:
    context.domain.gold["daily_revenue"].freshness = "soon"
    context.domain.bronze["orders"].personal = {"nobody": ["name"]}
    assert [p for p in problems(context.domain) if "freshness" in p or "personal" in p] == [
        "domain.gold.daily_revenue.freshness: 'soon' is not like '26 hours'",
        "domain.bronze.orders.personal: nobody is not a column",
    ]


def test_the_contract_is_a_document_of_the_standard(context: Context) -> None:
    context.domain.silver["order_items"].freshness = "2 days"
    made = odcs.document(context.domain, [TableRef("olist", "silver", "order_items")])
    assert {k: made[k] for k in ("apiVersion", "kind", "id", "status", "team")} == {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "olist.silver.order_items",
        "status": "active", "team": {"name": "commerce data"},
    }  # fmt: skip
    assert made["slaProperties"] == [
        {"property": "freshness", "value": 48.0, "unit": "h", "element": "silver_order_items"}
    ]
    (table,) = made["schema"]
    columns = {c["name"]: c for c in table["properties"]}
    assert columns["order_id"] | {"relationships": None} == {
        "name": "order_id", "logicalType": "string", "physicalType": "string", "required": True,
        "primaryKey": True, "primaryKeyPosition": 1, "relationships": None,
    }  # fmt: skip
    assert columns["order_id"]["relationships"] == [
        {"type": "foreignKey", "to": "silver_orders.order_id"}
    ]
    assert (columns["price"]["logicalType"], columns["price"]["physicalType"]) == (
        "number", "decimal(18,2)"
    )  # fmt: skip
    assert columns["seller_id"]["required"] is False


def test_the_contract_of_a_domain_has_every_table_and_its_personal_data(context: Context) -> None:
    made = odcs.document(context.domain, context.domain.tables())
    tables = {t["name"]: t for t in made["schema"]}
    assert len(tables) == len(context.domain.tables())
    tagged = {
        (name, c["name"]): c["tags"]
        for name, t in tables.items()
        for c in t["properties"]
        if "tags" in c
    }
    assert tagged["silver_customers", "customer_city"] == ["address"]
    assert tagged["bronze_customers", "customer_city"] == ["address"]
    names = [c["name"] for c in tables["silver_customer_addresses"]["properties"]]
    assert names[-3:] == ["valid_from", "valid_to", "is_current"]
    again = odcs.document(context.domain, context.domain.tables())
    assert again == made
    context.domain.silver["orders"].columns["order_id"].doc = "other"
    assert odcs.document(context.domain, context.domain.tables())["version"] != made["version"]


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
