"""What differs between two meanings, freshness, and the published contract; without Spark."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.runtime import Runtime
from storage.types import TableRef
from tasks.authoring import odcs
from tasks.context import Context, RunInfo
from tasks.domain.spec import ColumnSpec, Fold, RuleSpec
from tasks.records.contracts import contract_of, differences, meaning
from tasks.validation import problems

ORDERS = TableRef("olist", "silver", "orders")
BRONZE = TableRef("olist", "bronze", "orders")
DAILY = TableRef("olist", "gold", "daily_revenue")


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
