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
from tasks import freshness, odcs, ops
from tasks.bench import Bench, RunInfo, Staged
from tasks.contracts import contract_of, differences, known, meaning, outdated, remember
from tasks.spec import ColumnSpec, Fold, RuleSpec
from tasks.validation import problems

ORDERS = TableRef("olist", "silver", "orders")
BRONZE = TableRef("olist", "bronze", "orders")
DAILY = TableRef("olist", "gold", "daily_revenue")
ROWS = pa.table({"id": ["a"]})


@pytest.fixture(params=["delta", "iceberg"])
def bench(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Bench:
    config = make_config(request.param, tmp_path)
    return Runtime(config, RunInfo("run-1", datetime.now(UTC), "1.0")).bench(spark=False)


def test_each_declaration_that_differs_is_named(bench: Bench) -> None:
    old = copy.deepcopy(meaning(bench, ORDERS))
    spec = bench.domain.silver["orders"]
    spec.columns["order_status"].type = "int"
    spec.columns["order_date"].expr = "current_date()"
    spec.columns["more"] = ColumnSpec()
    spec.rules["early"] = RuleSpec("order_date < '2000-01-01'", "order_date", "is too early")
    del spec.rules["delivery_too_long"]
    spec.key = ["order_id", "more"]
    new = meaning(bench, ORDERS)
    assert set(differences(old, new)) == {
        "column order_status: string → int",
        "column order_date expr: to_date(order_purchase_timestamp) → current_date()",
        "column more added",
        "rule early added",
        "rule delivery_too_long dropped",
        "key: ['order_id'] → ['order_id', 'more']",
    }
    assert differences(new, new) == ()


def test_sql_order_and_engine_are_named(bench: Bench) -> None:
    new = meaning(bench, DAILY)
    old = copy.deepcopy(new) | {"engine": 1, "order": new["order"][::-1]}
    old["sql"]["gold/daily_revenue.sql"] = "select 1"
    assert differences(old, new) == (
        "the platform computes it differently now",
        "the order of the columns changed",
        "SQL of gold/daily_revenue.sql changed",
    )


def test_the_order_of_columns_is_part_of_the_contract(bench: Bench) -> None:
    before = contract_of(bench, ORDERS)
    spec = bench.domain.silver["orders"]
    spec.columns = dict(reversed(spec.columns.items()))
    assert contract_of(bench, ORDERS) != before


def test_what_changes_no_row_is_no_part_of_it(bench: Bench) -> None:
    before = contract_of(bench, ORDERS)
    spec = bench.domain.silver["orders"]
    spec.owner, spec.freshness, spec.anomalies = "me", "1 hour", bench.domain.anomalies
    spec.columns["order_id"].personal = ["name"]
    assert contract_of(bench, ORDERS) == before


def test_a_fold_is_part_of_it_where_there_is_one(bench: Bench) -> None:
    plain, spec = meaning(bench, DAILY), bench.domain.gold["daily_revenue"]
    assert "fold" not in plain["declared"]
    spec.fold = {"last": Fold.min}
    wrong, written = json.loads(json.dumps(meaning(bench, DAILY))), contract_of(bench, DAILY)
    spec.fold = {"last": Fold.max}
    assert contract_of(bench, DAILY) != written
    assert differences(wrong, meaning(bench, DAILY)) == ("fold: {'last': 'min'} → {'last': 'max'}",)
    spec.fold, spec.groups, spec.group_by = {}, {}, ["last"]
    assert meaning(bench, DAILY) == plain


def test_a_remembered_contract_tells_what_changed(bench: Bench) -> None:
    written = CommitRecord("run-0", "t", contract=contract_of(bench, ORDERS), code="1.0")
    bench.store.append_arrow(ORDERS, ROWS, written)
    remember(bench, [ORDERS, BRONZE])
    remember(bench, [ORDERS])
    assert list(known(bench.store)) == [written.contract]
    assert outdated(bench, [ORDERS]) == []
    bench.domain.silver["orders"].columns["order_status"].type = "int"
    (found,) = outdated(bench, [ORDERS])
    assert str(found) == "silver.orders (column order_status: string → int)"
    other = replace(written, token="t2", contract="0" * 16)
    bench.store.append_arrow(ORDERS, ROWS, other)
    (found,) = outdated(bench, [ORDERS])
    assert str(found).startswith("silver.orders (contract 0000000000000000 of version 1.0, now ")


def _deliver(bench: Bench) -> str:
    """A delivery in bronze that silver has consumed; the version of bronze."""
    file = SourceFile("a.csv", "00", 1, 1, "b1", 1)
    done = bench.store.append_arrow(BRONZE, ROWS, CommitRecord("run-0", "t", files=(file,)))
    inputs = {"bronze.orders": str(done.version)}
    bench.store.append_arrow(ORDERS, ROWS, CommitRecord("run-0", "t", inputs=inputs))
    return str(done.version)


def test_a_table_is_overdue_when_its_newest_delivery_is_too_old(bench: Bench) -> None:
    for table in (bench.domain.bronze["orders"], bench.domain.silver["orders"]):
        table.freshness = "26 hours"
    assert freshness.overdue(bench, [BRONZE]) == ["bronze.orders is overdue: nothing delivered yet"]
    version = _deliver(bench)
    assert freshness.overdue(bench, [BRONZE, ORDERS, DAILY]) == []
    later = replace(
        bench, run=replace(bench.run, started_at=datetime.now(UTC) + timedelta(hours=27))
    )
    says = "is overdue: the newest delivery is 27.0 hours old, allowed are 26 hours"
    assert freshness.overdue(later, [BRONZE, ORDERS, DAILY]) == [
        f"bronze.orders {says}", f"silver.orders {says}"
    ]  # fmt: skip
    # Writing the table anew does not make it fresher.
    again = CommitRecord("run-1", "t2", inputs={"bronze.orders": version})
    bench.store.append_arrow(ORDERS, ROWS, again)
    came = bench.store.history(BRONZE)[0].committed_at
    assert freshness.arrived(bench.store, bench.domain, ORDERS) == came
    assert bench.store.head(ORDERS).committed_at > came
    bench.store.append_arrow(BRONZE, ROWS, CommitRecord("run-1", "t3"))  # no delivery
    assert freshness.arrived(bench.store, bench.domain, BRONZE) == came


@pytest.mark.parametrize(("hours", "outcome"), [(25, "pass"), (27, "warn")])
def test_the_gate_warns_of_what_is_staged_too_late(bench: Bench, hours: int, outcome: str) -> None:
    version = _deliver(bench)
    later = replace(
        bench, run=replace(bench.run, started_at=datetime.now(UTC) + timedelta(hours=hours))
    )
    staged = Staged(ORDERS, "t", "", inputs={"bronze.orders": version})
    assert freshness.checks(later, staged) == []
    bench.domain.silver["orders"].freshness = "26 hours"
    (check,) = freshness.checks(later, staged)
    assert (check.outcome.value, check.threshold) == (outcome, "<= 26 hours")


def test_a_wrong_freshness_and_an_unknown_personal_column_are_named(bench: Bench) -> None:
    bench.domain.gold["daily_revenue"].freshness = "soon"
    bench.domain.bronze["orders"].personal = {"nobody": ["name"]}
    assert [p for p in problems(bench.domain) if "freshness" in p or "personal" in p] == [
        "domain.gold.daily_revenue.freshness: 'soon' is not like '26 hours'",
        "domain.bronze.orders.personal: nobody is not a column",
    ]


def test_the_contract_is_a_document_of_the_standard(bench: Bench) -> None:
    bench.domain.silver["order_items"].freshness = "2 days"
    made = odcs.document(bench.domain, [TableRef("olist", "silver", "order_items")])
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


def test_the_contract_of_a_domain_has_every_table_and_its_personal_data(bench: Bench) -> None:
    made = odcs.document(bench.domain, bench.domain.tables())
    tables = {t["name"]: t for t in made["schema"]}
    assert len(tables) == len(bench.domain.tables())
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
    again = odcs.document(bench.domain, bench.domain.tables())
    assert again == made
    bench.domain.silver["orders"].columns["order_id"].doc = "other"
    assert odcs.document(bench.domain, bench.domain.tables())["version"] != made["version"]


def test_operational_tables_get_the_columns_they_lack(bench: Bench) -> None:
    old = pa.table({"run_id": ["run-0"], "domain": ["olist"]})
    bench.store.append_arrow(ops.ref("runs"), old, CommitRecord("run-0", "t"))
    lacking = [c.name for c in ops.outdated(bench.store)["runs"]]
    assert set(lacking) == set(ops.RUNS.names) - {"run_id", "domain"}
    ops.append(bench.store, "runs", [{"run_id": "run-1", "code": "2"}], CommitRecord("run-1", "t1"))
    rows = {r["run_id"]: r["code"] for r in bench.store.read_arrow(ops.ref("runs")).to_pylist()}
    assert rows == {"run-0": None, "run-1": "2"}
    assert ops.upgrade(bench.store) == {}
