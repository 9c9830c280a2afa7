from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flows.cli.rows import rows_of
from flows.reading import Reader
from flows.runtime import lake_of
from storage.base import TableStore
from storage.errors import ConfigurationError
from storage.types import CommitRecord, TableRef

FORMATS = ("delta", "iceberg")
SALES = pa.table(
    {
        "day": pa.array([date(2018, 1, 1), date(2018, 1, 2)], pa.date32()),
        "revenue": pa.array([Decimal("10.50"), Decimal("0.25")], pa.decimal128(18, 2)),
        "sold_at": pa.array(
            [datetime(2018, 1, 1, 23, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")
        ),
    }
)
RUNS = pa.table({"run_id": ["r1"], "domain": ["olist"]})


@pytest.fixture(scope="module", params=FORMATS)
def reader(
    request: pytest.FixtureRequest, make_config: Any, tmp_path_factory: pytest.TempPathFactory
) -> Reader:
    """A reader of a lake with two gold tables and one operational one; what it says is an error."""
    config = make_config(request.param, tmp_path_factory.mktemp("lake"))
    store = lake_of(config).store(None)
    store.append_arrow(TableRef("olist", "gold", "sales"), SALES, CommitRecord("r1", "t1"))
    empty = SALES.schema.empty_table()
    store.append_arrow(TableRef("olist", "gold", "none"), empty, CommitRecord("r1", "t1"))
    store.append_arrow(TableRef("olist", "ops", "runs"), RUNS, CommitRecord("r1", "t1"))
    store.append_arrow(TableRef("taxi", "gold", "trips"), RUNS, CommitRecord("r1", "t1"))
    return Reader(config, lambda text: pytest.fail(f"Spark would start: {text}"))


def test_the_tables_of_the_domain_are_listed_layer_by_layer(reader: Reader) -> None:
    assert [ref.label for ref in reader.tables()] == ["gold.none", "gold.sales", "ops.runs"]


def test_an_empty_lake_has_no_tables(make_config: Any, tmp_path: Path) -> None:
    reader = Reader(make_config("delta", tmp_path), pytest.fail)
    assert reader.tables() == []
    with pytest.raises(ConfigurationError, match=r"no table gold\.sales") as refused:
        reader.ref("gold.sales")
    assert refused.value.advice == "Tables: none yet"


@pytest.mark.parametrize(
    ("label", "complaint"),
    [
        ("gold.sale", r"there is no table gold\.sale in this lake \((delta|iceberg)\)"),
        ("golden.sales", r"there is no table golden\.sales"),
        ("gold.trips", r"there is no table gold\.trips"),
        ("sales", r"'sales' is not a table name: write layer\.table"),
    ],
)
def test_a_table_that_is_not_there_is_refused(reader: Reader, label: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        reader.ref(label)


def test_a_table_is_read_as_it_was_written(reader: Reader) -> None:
    rows = reader.table(reader.ref("gold.sales"))
    assert rows.sort_by("day").to_pylist() == SALES.to_pylist()
    assert reader.table(reader.ref("gold.none")).num_rows == 0


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select sum(revenue) as x from gold.sales", [{"x": Decimal("10.75")}]),
        ("select count(*) as x from gold.none", [{"x": 0}]),
        ('select day as x from "gold"."sales" order by 1 limit 1', [{"x": date(2018, 1, 1)}]),
        ("with s as (select * from gold.sales) select count(*) x from s", [{"x": 2}]),
        ("select count(*) as x from gold.sales s join gold.sales t using (day)", [{"x": 2}]),
        ("select run_id as x from ops.runs", [{"x": "r1"}]),
        ("select cast(sold_at as date) as x from gold.sales where sold_at is not null",
         [{"x": date(2018, 1, 1)}]),
        ("select 'gold.nothing' as x", [{"x": "gold.nothing"}]),
        ("select 1 as x;", [{"x": 1}]),
    ],
)  # fmt: skip
def test_a_query_runs_over_layer_and_table(reader: Reader, sql: str, expected: object) -> None:
    assert reader.query(sql).to_pylist() == expected


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("select * from gold.sale", r"there is no table gold\.sale"),
        ("select * from sales", "'sales' has no layer"),
        ("select price from gold.sales", r"^sql: .*price"),
        ("select from (", r"line 1, column 13: not readable near '\('"),
        ("select 'open", "^sql: "),
        ("drop table gold.sales", "only a query is run here"),
        ("select 1; drop table gold.sales", "only a query is run here"),
        ("copy (select 1) to 'x.csv'", "only a query is run here"),
        ("", "only a query is run here"),
        ("select cast('x' as int)", r"^sql: .*INT32"),
    ],
)
def test_text_that_is_no_query_here_is_refused(reader: Reader, sql: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        reader.query(sql)


@pytest.mark.parametrize(
    "value", ["date '9999-12-31' + 1", "timestamp '0001-01-01' - interval 1 day"]
)
def test_a_computed_instant_that_python_does_not_hold_is_named(reader: Reader, value: str) -> None:
    with pytest.raises(
        ConfigurationError, match="column far has a date or instant that cannot be shown"
    ):
        rows_of(reader.query(f"select 1 as near, {value} as far"))


def test_columns_of_one_name_are_all_shown(reader: Reader) -> None:
    found = rows_of(reader.query("select 1 as n, 2 as n_1, 3 as n, 4 as n"))
    assert found == [{"n": 1, "n_1": 2, "n_2": 3, "n_3": 4}]


class _Spark:
    """Stands for the store of a Spark session."""

    def __init__(self, answer: pa.Table) -> None:
        self._answer = answer

    def read(self, ref: TableRef) -> Any:
        del ref
        return self

    def toArrow(self) -> pa.Table:  # noqa: N802 - Spark's name
        return self._answer


def test_a_table_that_only_spark_reads_rightly_is_read_with_spark_saying_so(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    spark = _Spark(SALES)
    store = type(reader.store)
    safe = store.obstacle

    def obstacle(self: TableStore, ref: TableRef) -> str | None:
        return "deletion vectors" if ref.name == "sales" else safe(self, ref)

    monkeypatch.setattr(store, "obstacle", obstacle)
    monkeypatch.setattr(Reader, "_spark_store", lambda _: spark)
    reader = Reader(reader.config, said.append)
    assert reader.table(reader.ref("gold.none")).num_rows == 0
    assert not said
    assert reader.table(reader.ref("gold.sales")) is SALES
    assert said == ["gold.sales has deletion vectors: read with Spark"]

    rows = reader.query('select count("day") as n from gold.sales').to_pylist()
    assert rows == [{"n": SALES.num_rows}]
    assert said[1:] == ["gold.sales has deletion vectors: read with Spark"]
