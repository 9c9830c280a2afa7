"""Values that are not watermarks, and columns whose names differ in case only."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import KeySnapshotSpec, PartitionsSpec, WatermarkSpec
from tasks.ingest.sources.jdbc.reader import JdbcReader, _highest
from tests.services.postgres import Postgres
from tests.sources.conftest import MakeShop
from tests.sources.shop_database import source

NOON = "2026-03-01 12:00:00"
BEYOND = [
    ("double precision", "'NaN'", "7", "7.0"), ("real", "'Infinity'", "7", "7.0"),
    ("real", "'-Infinity'", "7", "7.0"), ("numeric", "'NaN'", "7", f"7.{'0' * 18}"),
    ("numeric(10,2)", "'NaN'", "7", "7.00"), ("numeric(40,0)", "1e39", "7", "7"),
    ("bigint", "-9223372036854775808", "9223372036854775807", "9223372036854775807"),
    ("int", "null", "null", None), ("date", "'infinity'", "'2026-03-01'", "2026-03-01"),
    ("date", "'0044-03-15 BC'", "'2026-03-01'", "2026-03-01"),
    ("timestamp", "'infinity'", f"'{NOON}'", NOON), ("timestamp", "'-infinity'", "'infinity'", None),
    ("timestamptz", "'infinity'", f"'{NOON}+00'", NOON),
    ("timestamptz", "'294276-01-01+00'", f"'{NOON}+00'", NOON),
    ("timestamptz", "'0044-03-15 12:00+00 BC'", f"'{NOON}+00'", NOON),
]  # fmt: skip
"""Type, a value that may be beyond every number or date, another one, and the watermark of both."""


@pytest.mark.parametrize(("kind", "value", "other"), [row[:3] for row in BEYOND])
def test_a_value_beyond_all_parts_is_read_with_the_others(
    spark: SparkSession, shop_db: Postgres, kind: str, value: str, other: str
) -> None:
    shop_db.run(
        f"create table t (id int, v {kind})", f"insert into t values (1, {value}), (2, {other})",
        f"insert into t select n, {other} from generate_series(3, 9) n",
    )  # fmt: skip
    spec = source(shop_db, table="t", columns=["id", "v"], watermark=None)
    whole = JdbcReader(spec).extraction(spark, None).rows.collect()
    parted = replace(spec, partitions=PartitionsSpec("v", 3))
    rows = JdbcReader(parted).extraction(spark, None).rows.collect()
    assert sorted(int(row["id"]) for row in rows) == list(range(1, 10))
    assert sorted(map(str, rows)) == sorted(map(str, whole))


@pytest.mark.parametrize(("kind", "value", "other", "reached"), BEYOND)
def test_a_value_beyond_every_number_and_date_is_no_watermark(
    spark: SparkSession, shop_db: Postgres, kind: str, value: str, other: str, reached: str | None
) -> None:
    shop_db.run(
        f"create table t (id int, v {kind})", f"insert into t values (1, {value}), (2, {other})"
    )
    overlap = "1 day" if kind.startswith(("date", "time")) else "0"
    spec = source(shop_db, table="t", columns=["id", "v"], watermark=WatermarkSpec("v", overlap))
    first = JdbcReader(spec).extraction(spark, None)
    assert _highest(first.rows, first) == reached
    again = JdbcReader(spec).extraction(spark, reached)
    assert "2" in {row["id"] for row in again.rows.collect()}


def test_values_beyond_every_number_hide_no_other(
    make_shop: MakeShop, shop_db: Postgres, format_name: str
) -> None:
    shop_db.run(
        "create table t (id int, v float8)",
        "insert into t values (1, 'NaN'), (2, 'Infinity'), (3, 7)",
    )
    spec = source(shop_db, table="t", columns=["id", "v"], watermark=WatermarkSpec("v", "0"))
    shop = make_shop(spec, format_name)
    shop.run()
    assert shop.record().notes["watermark"]["value"] == "7.0"
    assert shop.run() is None
    shop_db.run("insert into t values (4, 8), (5, 'NaN')")
    shop.run()
    assert sorted(shop.rows()) == [
        ("1", "NaN"), ("2", "Infinity"), ("3", "7.0"), ("4", "8.0"), ("5", "NaN"),
    ]  # fmt: skip
    assert shop.run() is None


def test_a_position_that_is_no_number_starts_over(spark: SparkSession, shop_db: Postgres) -> None:
    """As a commit before this version may have written it."""
    shop_db.run("create table t (id int, v float8)", "insert into t values (1, 5)")
    spec = source(shop_db, table="t", columns=["id", "v"], watermark=WatermarkSpec("v", "0"))
    read = JdbcReader(spec).extraction(spark, "NaN")
    assert (read.since, read.rows.count()) == (None, 1)


CASED = """create table "Sale" (id int, "ID" text, "Id" int, "at" timestamptz, "AT" date);
    insert into "Sale" values (1, 'x', 10, '2026-03-01 10:00+00', 'infinity')"""


@pytest.mark.parametrize(
    ("columns", "row", "rescued"),
    [
        (["id", "at"], ("1", "2026-03-01 10:00:00"), {"ID": "x", "Id": "10", "AT": "infinity"}),
        (["ID", "AT"], ("x", "infinity"), {"id": "1", "Id": "10", "at": "2026-03-01 10:00:00"}),
        (["Id", "at"], ("10", "2026-03-01 10:00:00"), {"id": "1", "ID": "x", "AT": "infinity"}),
    ],
)
def test_columns_that_differ_in_case_only_are_read_by_their_own_case(
    make_shop: MakeShop, shop_db: Postgres, format_name: str, columns: list[str],
    row: tuple[str, ...], rescued: dict[str, str],
) -> None:  # fmt: skip
    shop_db.run(*CASED.split(";"))
    mark = WatermarkSpec(columns[1], "1 day", [columns[0]])
    parts = PartitionsSpec("id", 2)
    spec = source(shop_db, table='"Sale"', columns=columns, watermark=mark, partitions=parts)
    shop = make_shop(spec, format_name)
    shop.run()
    assert shop.rows() == [row]
    ((kept,),) = shop.rows("bronze.sale", "_rescued")
    assert json.loads(kept) == rescued
    assert shop.run() is None


@pytest.mark.slow
def test_a_key_snapshot_reads_the_key_by_its_own_case(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    shop_db.run(*CASED.split(";"), """insert into "Sale" values (2, 'y', 20, now(), null)""")
    spec = source(
        shop_db, table='"Sale"', columns=["id", "at", "__deleted"],
        watermark=WatermarkSpec("at", "10 minutes"), key_snapshot=KeySnapshotSpec(key=["id"], rows=5),
    )  # fmt: skip
    shop = make_shop(spec)
    shop.run()
    shop_db.run('delete from "Sale" where id = 1')
    shop.run()
    assert [row[0] for row in shop.rows() if row[2] == "true"] == ["1"]


def test_a_column_that_is_there_only_in_two_other_cases_is_missing(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    shop_db.run('create table t ("ID" int, "Id" int, v int)', "insert into t values (1, 2, 3)")
    attempt = make_shop(source(shop_db, table="t", columns=["id", "v"], watermark=None)).stage()
    assert attempt is not None
    assert "the table lacks id (was it renamed to ID or Id?)" in attempt.problems[0].message
