"""Extractions from a real PostgreSQL: what the server is asked, types, and what goes wrong."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from omegaconf import OmegaConf
from pyspark.sql import SparkSession

from storage.errors import ConfigurationError, LakehouseError, TerminalError, TransientError
from storage.secrets import reference
from tasks.domain.spec import (
    DomainSpec,
    KeySnapshotSpec,
    PartitionsSpec,
    SourceKind,
    SourceSpec,
    WatermarkSpec,
)
from tasks.ingest.sources.jdbc.reader import JdbcReader, _highest
from tasks.records.decisions import Decision
from tests.services.postgres import Postgres, postgres_server
from tests.sessions import slow
from tests.sources.conftest import MakeShop

COLUMNS = ["id", "amount", "changed_at"]
TABLE = "create table sale (id bigint primary key, amount numeric(18,4), changed_at timestamptz)"


@pytest.fixture
def shop_db(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """A database with an empty table; its password is the secret `SHOP_PASSWORD`."""
    made = postgres.database("shop")
    made.run(TABLE)
    monkeypatch.setenv("SHOP_PASSWORD", made.password)
    return made


def source(database: Postgres, **changes: Any) -> SourceSpec:
    options = {"user": database.user, "password": reference("SHOP_PASSWORD")}
    values: dict[str, Any] = {
        "columns": COLUMNS, "kind": SourceKind.jdbc, "url": database.jdbc, "table": "sale",
        "options": options, "watermark": WatermarkSpec("changed_at", "10 minutes"),
    }  # fmt: skip
    return SourceSpec(**values | changes)


def put(database: Postgres, *rows: tuple[int, object, str]) -> None:
    listed = ", ".join(f"({i}, {amount}, '2026-03-01 {clock}+00')" for i, amount, clock in rows)
    database.run(
        f"insert into sale values {listed} on conflict (id) do update "
        "set amount = excluded.amount, changed_at = excluded.changed_at"
    )


def asked(database: Postgres, mark: str, wanted: str) -> list[str]:
    """Statements in the server's log after a mark that hold a text; the mark is a statement itself."""
    _, _, after = database.log.read_text().rpartition(f"select '{mark}'")
    return [line for line in after.splitlines() if "execute" in line and wanted in line]


def test_the_server_is_asked_for_what_is_new(
    make_shop: MakeShop, shop_db: Postgres, format_name: str
) -> None:
    shop = make_shop(source(shop_db), format_name)
    put(shop_db, (1, 1.5, "10:00"), (2, 2, "10:05"))
    shop.run()
    assert shop.rows() == [
        ("1", "1.5000", "2026-03-01 10:00:00"), ("2", "2.0000", "2026-03-01 10:05:00"),
    ]  # fmt: skip

    shop_db.run("select 'second run'")
    put(shop_db, (3, 3, "10:30"))
    shop.run()

    assert [row[0] for row in shop.rows()] == ["1", "2", "3"]
    (statement,) = asked(shop_db, "second run", "FROM sale  WHERE")
    assert '"changed_at" >= \'2026-03-01 09:55:00' in statement
    assert shop.run() is None


def test_an_empty_answer_is_no_delivery(make_shop: MakeShop, shop_db: Postgres) -> None:
    shop = make_shop(source(shop_db))
    assert shop.run() is None
    put(shop_db, (1, 1, "10:00"))
    assert shop.run() is not None
    shop_db.run("delete from sale")
    assert shop.run() is None


@pytest.mark.parametrize(
    ("watermark", "read"),
    [(WatermarkSpec("changed_at", "10 minutes"), {"table": "sale"}),
     (None, {"table": None, "query": "select * from sale"})],
)  # fmt: skip
def test_an_extraction_through_several_connections_has_every_row_once(
    make_shop: MakeShop, shop_db: Postgres, watermark: WatermarkSpec | None, read: dict[str, Any]
) -> None:
    shop = make_shop(
        source(shop_db, watermark=watermark, partitions=PartitionsSpec("ID", 4), **read)
    )
    assert (shop.run() is None) == (watermark is not None)  # an empty table has no bounds
    shop_db.run(
        "select 'parted run'",
        "insert into sale select n, n, timestamptz '2026-03-01 10:00:00+00' + n * interval '1 s' "
        "from generate_series(1, 1000) n",
    )
    shop.run()

    assert sorted(int(row[0]) for row in shop.rows()) == list(range(1, 1001))
    statements = asked(shop_db, "parted run", '"changed_at" FROM')
    assert len(statements) == 4
    assert all('"id"' in s.partition(" WHERE ")[2] for s in statements)

    put(shop_db, (1001, 1, "11:00"), (-5, 1, "11:00"))
    shop.run()
    assert len({row[0] for row in shop.rows()}) == 1002


@pytest.mark.parametrize(
    ("column", "complaint"),
    [("colour", "partitions.column colour is none of id, amount, changed_at, note"),
     ("note", "partitions.column note is string")],
)  # fmt: skip
def test_a_column_that_cannot_part_is_refused(
    make_shop: MakeShop, shop_db: Postgres, column: str, complaint: str
) -> None:
    shop_db.run("alter table sale add note text")
    with pytest.raises(LakehouseError, match=complaint):
        make_shop(source(shop_db, partitions=PartitionsSpec(column, 2))).stage()


TYPED = {
    "id": ("int", "7", "7"),
    "plain": ("numeric", "12345678901234567890123456789.12345678901234567890",
              "12345678901234567890123456789.12345678901234567890"),
    "money_18_4": ("numeric(18,4)", "1.1", "1.1000"),
    "wide": ("numeric(60,20)", "1.5", "1.50000000000000000000"),
    "whole": ("bigint", "9007199254740993", "9007199254740993"),
    "ratio": ("double precision", "0.1", "0.1"),
    "half": ("real", "0.1", "0.1"),
    "instant": ("timestamptz", "2026-03-01 10:00:00.123456+02", "2026-03-01 08:00:00.123456"),
    "wall_clock": ("timestamp", "2026-03-29 02:30:00.123456", "2026-03-29 02:30:00.123456"),
    "whole_second": ("timestamp", "2026-03-29 02:30:00", "2026-03-29 02:30:00"),
    "day": ("date", "2026-03-29", "2026-03-29"),
    "clock": ("time", "10:00:01.5", "10:00:01.5"),
    "flag": ("boolean", "true", "true"),
    "raw": ("bytea", "\\x00ff", "00FF"),
    "document": ("json", '{"a": 1.10}', '{"a": 1.10}'),
    "binary_document": ("jsonb", '{"b":2,"a":1.10}', '{"a": 1.10, "b": 2}'),
    "identity": ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                 "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "numbers": ("int[]", "{1,2,null}", "[1,2,null]"),
    "words": ("text[]", '{a,"b c"}', '["a","b c"]'),
    "mood": ("mood", "ok", "ok"),
    "price": ("money", "12.34", "$12.34"),
    "span": ("interval", "1 day 2 hours", "1 day 02:00:00"),
    "address": ("inet", "10.0.0.1", "10.0.0.1"),
    "padded": ("char(5)", "ab", "ab   "),
    "text": ("text", " ü\n", " ü\n"),
    "mask": ("bit(5)", "10101", "10101"),
    "one_bit": ("bit(1)", "1", "true"),
    "bits": ("bit varying(8)", "001", "001"),
    "span_of": ("int4range", "[1,5)", "[1,5)"),
    "nul_escape": ("json", '{"a":"\\u0000"}', '{"a":"\\u0000"}'),
}  # fmt: skip
"""Column: type in the database, value as PostgreSQL reads it, text in bronze."""


def test_types_become_exact_text(make_shop: MakeShop, shop_db: Postgres) -> None:
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in TYPED.items())
    shop_db.run("create type mood as enum ('ok', 'bad')", f"create table typed ({columns})")
    values = ", ".join("'" + value.replace("'", "''") + "'" for _, value, _ in TYPED.values())
    shop_db.run(f"insert into typed values ({values})", "insert into typed default values")
    shop = make_shop(source(shop_db, table="typed", columns=list(TYPED), watermark=None))
    shop.run()
    empty, full = shop.rows()
    assert dict(zip(TYPED, full, strict=True)) == {n: text for n, (_, _, text) in TYPED.items()}
    assert set(empty) == {None}


DATED = [
    ("0001-01-01 00:00:00", "0001-01-01 00:00:00+00", "0001-01-01"),
    ("1500-02-28 12:00:00", "1500-02-28 12:00:00.5+00", "1500-02-28"),
    ("1883-11-18 12:03:58", "1893-01-01 00:00:00+00", "1883-11-18"),  # zones of odd minutes
    ("2026-03-29 02:30:00", "2026-03-29 01:30:00+00", "2026-03-29"),  # no such time in Berlin
    ("2026-10-25 02:30:00", "2026-10-25 00:30:00+00", "2026-10-25"),
    ("9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999+00", "9999-12-31"),
]
LACKING = ("1582-10-10 00:00:00", "1582-10-10 00:00:00+00", "1582-10-10")
"""A day that Java's calendar lacks."""


@pytest.mark.parametrize("mark", [None, "wall", "at", "day"])
def test_instants_of_every_calendar_and_offset(
    make_shop: MakeShop, shop_db: Postgres, mark: str | None
) -> None:
    """A watermark's column keeps its type, which Java reads; others are read as text."""
    dated = DATED if mark else [*DATED, LACKING]
    rows = ", ".join(f"({n}, '{wall}', '{at}', '{day}')" for n, (wall, at, day) in enumerate(dated))
    shop_db.run(
        "create table dated (id int, wall timestamp, at timestamptz, day date)",
        f"insert into dated values {rows}",
    )
    watermark = WatermarkSpec(mark, "10 minutes") if mark else None
    columns = ["id", "wall", "at", "day"]
    shop = make_shop(source(shop_db, table="dated", columns=columns, watermark=watermark))
    shop.run()
    found = sorted(shop.rows(), key=lambda row: int(row[0]))
    assert found == [
        (str(n), wall, at.removesuffix("+00"), day) for n, (wall, at, day) in enumerate(dated)
    ]


SPECIAL = [
    ("int", "7", "7"),
    ("numeric", "NaN", "NaN"), ("numeric(10,2)", "NaN", "NaN"), ("numeric", "Infinity", "Infinity"),
    ("double precision", "Infinity", "Infinity"), ("real", "NaN", "NaN"),
    ("timestamp", "infinity", "infinity"), ("timestamp", "-infinity", "-infinity"),
    ("date", "infinity", "infinity"), ("timestamptz", "infinity", "9999-12-31 23:59:59.999"),
    ("timestamptz", "-infinity", "0001-01-01 00:00:00"),
    ("timestamptz", "10000-01-01 00:00:00+00", "10000-01-01 00:00:00"),

    ("timestamptz", "0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00 BC"),
    ("timestamptz", "294276-12-31 23:59:59.5+00", "294276-12-31 23:59:59.5"),
    ("timestamptz", "1883-11-18 12:00:00.000001-04:56:02", "1883-11-18 16:56:02.000001"),
    ("timestamp", "4713-01-01 00:00 BC", "4713-01-01 00:00:00 BC"),
    ("date", "5874897-12-31", "5874897-12-31"), ("numeric(40,0)", "1e39", f"1{'0' * 39}"),
]  # fmt: skip


def test_values_beyond_every_number_and_date(make_shop: MakeShop, shop_db: Postgres) -> None:
    names = ["id", *(f"c{n}" for n in range(1, len(SPECIAL)))]
    columns = ", ".join(f"{n} {kind}" for n, (kind, _, _) in zip(names, SPECIAL, strict=True))
    values = ", ".join(f"'{value}'" for _, value, _ in SPECIAL)
    shop_db.run(f"create table special ({columns})", f"insert into special values ({values})")
    shop = make_shop(source(shop_db, table="special", columns=names, watermark=None))
    shop.run()
    assert shop.rows() == [tuple(text for _, _, text in SPECIAL)]


ARRAYS: dict[str, list[tuple[str | None, str | None]]] = {
    "int[]": [("{1,2}", "[1,2]"), ("{{1,2},{3,4}}", "[[1,2],[3,4]]"), ("{}", "[]"), (None, None),
              ("{1,null}", "[1,null]"), ("[0:1]={7,8}", "[7,8]")],
    "numeric[]": [("{1.10,NaN}", '[1.10,"NaN"]'), ("{-Infinity}", '["-Infinity"]'),
                  ("{12345678901234567890123456789.12345678901234567890}",
                   "[12345678901234567890123456789.12345678901234567890]")],
    "text[]": [('{a,"b \\"c",NULL,"NULL",ü,""}', '["a","b \\"c",null,"NULL","ü",""]')],
    "timestamptz[]": [("{2026-03-01 10:00:00.123456+02,infinity}",
                       '["2026-03-01T08:00:00.123456+00:00","infinity"]')],
    "timestamp[]": [("{2026-03-01 10:00:00.123456}", '["2026-03-01T10:00:00.123456"]'),
                    ("{-infinity}", '["-infinity"]')],
    "date[]": [('{2026-03-01,"0044-03-15 BC"}', '["2026-03-01","0044-03-15 BC"]')],
    "time[]": [("{24:00:00}", '["24:00:00"]')],
    "bit(3)[]": [("{101}", '["101"]')],
    "boolean[]": [("{t,f,null}", "[true,false,null]")],
}  # fmt: skip
"""Type in the database: values as PostgreSQL reads them, and their text in bronze."""


def test_arrays_are_json_whatever_they_hold(make_shop: MakeShop, shop_db: Postgres) -> None:
    names = {f"c{n}": kind for n, kind in enumerate(ARRAYS)}
    columns = ", ".join(f"{name} {kind}" for name, kind in names.items())
    shop_db.run(f"create table t (id int, {columns})")
    for name, kind in names.items():
        for n, (value, _) in enumerate(ARRAYS[kind]):
            quoted = "null" if value is None else f"'{value}'"
            shop_db.run(f"insert into t (id, {name}) values ({n}, {quoted})")
    shop = make_shop(source(shop_db, table="t", columns=["id", *names], watermark=None))
    shop.run()
    for name, kind in names.items():
        found = {text for (text,) in shop.rows("bronze.sale", name)}
        assert found == {None, *(text for _, text in ARRAYS[kind])}, kind
    assert shop.run() is None


def test_a_type_that_spark_does_not_know_is_named(make_shop: MakeShop, shop_db: Postgres) -> None:
    shop_db.run("create table t (id int, v money[])", "insert into t values (1, array[1.5::money])")
    shop = make_shop(source(shop_db, table="t", columns=["id", "v"], watermark=None))
    with pytest.raises(TerminalError, match="name: _money") as refused:
        shop.stage()
    assert "casts the column of this type to text" in refused.value.advice
    shop = shop.with_source(table=None, query="select id, array_to_json(v)::text v from t;")
    shop.run()
    assert shop.rows() == [("1", '["$1.50"]')]


def test_an_array_beside_a_watermark_is_filtered_by_the_server(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    shop_db.run(
        "create table t (id int, v int[], at timestamptz)",
        "insert into t values (1, '{{1}}', '2026-03-01 10:00+00')",
    )
    mark = WatermarkSpec("at", "0")
    shop = make_shop(source(shop_db, table="t", columns=["id", "v", "at"], watermark=mark))
    shop.run()
    shop_db.run("select 'second run'", "insert into t values (2, '{}', '2026-03-01 10:01+00')")
    shop.run()
    assert shop.rows("bronze.sale", "id", "v") == [("1", "[[1]]"), ("2", "[]")]
    (statement,) = asked(shop_db, "second run", 'array_to_json("v")')[-1:]
    assert "\"at\" >= '2026-03-01 10:00:00+00'" in statement


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


@pytest.mark.parametrize(
    "query",
    ["select * from sale -- all of it", "select * from sale;", "select * from sale; -- all\n;\n",
     "select id, amount, '--;' note, changed_at from sale /* all */ ;",
     "-- first\nwith s as (select * from sale) select * from s --"],
)  # fmt: skip
@pytest.mark.parametrize("parts", [None, PartitionsSpec("id", 2)])
def test_a_query_may_end_in_a_comment_or_semicolon(
    spark: SparkSession, shop_db: Postgres, query: str, parts: PartitionsSpec | None
) -> None:
    put(shop_db, (1, 1, "10:00"), (2, 2, "10:01"))
    spec = source(shop_db, table=None, query=query, partitions=parts)
    rows = JdbcReader(spec).extraction(spark, "2026-03-01 10:00:30").rows.collect()
    assert [row["id"] for row in rows if row["id"] != "1"] == ["2"]


@pytest.mark.slow
def test_a_new_column_is_kept_and_a_lost_or_narrowed_one_blocks(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, "10:00"))
    shop.run()
    shop_db.run("alter table sale add channel text default 'web'")
    put(shop_db, (2, 2, "10:10"))
    shop.run()
    assert shop.rows("bronze.sale", "id", "_rescued") == [("1", None), ("2", '{"channel":"web"}')]

    shop_db.run("alter table sale alter amount type numeric(9,4), drop channel")
    put(shop_db, (3, 3, "10:20"))
    attempt = shop.stage()
    assert attempt is not None
    (problem,) = attempt.problems
    assert "amount is decimal(9,4), was decimal(18,4), which is narrower" in problem.message
    shop.resolve(problem.batch_id, Decision.accepted)
    shop.run()

    shop_db.run("alter table sale drop amount")
    put_without_amount = "insert into sale values (4, '2026-03-01 10:30+00')"
    shop_db.run(put_without_amount)
    attempt = shop.stage()
    assert attempt is not None
    assert "the table lacks amount" in attempt.problems[0].message
    shop.resolve(attempt.problems[0].batch_id, Decision.accepted)
    shop.run()
    assert [row[0] for row in shop.rows()][-1] == "4"


def test_a_wrong_password_is_terminal_and_a_later_run_continues(
    make_shop: MakeShop, shop_db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, "10:00"))
    monkeypatch.setenv("SHOP_PASSWORD", "s3same")
    with pytest.raises(TerminalError, match="password authentication failed") as refused:
        shop.stage()
    assert "s3same" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None

    monkeypatch.delenv("SHOP_PASSWORD")
    with pytest.raises(ConfigurationError, match="the secret SHOP_PASSWORD is not set"):
        shop.stage()
    monkeypatch.setenv("SHOP_PASSWORD", shop_db.password)
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1"]


def test_a_secret_in_the_url_is_revealed_to_the_driver_alone(
    make_shop: MakeShop, shop_db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{shop_db.jdbc}?user={shop_db.user}&password={reference('SHOP_PASSWORD')}"
    shop = make_shop(source(shop_db, url=url, options={}))
    put(shop_db, (1, 1, "10:00"))
    attempt = shop.run()
    assert attempt is not None
    assert shop_db.password not in shop.record().to_json()

    monkeypatch.setenv("SHOP_PASSWORD", "s3same")
    with pytest.raises(TerminalError, match="password authentication failed") as refused:
        shop.stage()
    assert "s3same" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [("jdbc:postgresql://127.0.0.1:1/shop", "127.0.0.1:1 refused"),
     ("jdbc:postgresql://nowhere.invalid:5432/shop", "connection attempt failed")],
)  # fmt: skip
def test_a_host_that_does_not_answer_is_tried_again(
    make_shop: MakeShop, shop_db: Postgres, url: str, complaint: str
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, "10:00"))
    shop.run()
    put(shop_db, (2, 2, "10:01"))
    with pytest.raises(TransientError, match=complaint) as lost:
        shop.with_source(url=url).stage()
    assert shop_db.password not in str(lost.value)
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2"]


def test_a_database_or_table_that_is_not_there_is_terminal(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    with pytest.raises(TerminalError, match='database "elsewhere" does not exist'):
        make_shop(source(shop_db, url=shop_db.jdbc.replace("/shop", "/elsewhere"))).stage()
    with pytest.raises(TerminalError, match='relation "elsewhere" does not exist'):
        make_shop(source(shop_db, table="elsewhere")).stage()


SLOW = """create view slow as
    select s.* from sale s, lateral (select pg_sleep(0.02 * (s.id > 0)::int)) pause"""


def while_reading(database: Postgres, act: Any) -> threading.Thread:
    """Act once the server is in the middle of an extraction from the view `slow`."""

    def wait() -> None:
        deadline = time.monotonic() + 60
        active = "select pid from pg_stat_activity where query like '%FROM slow%changed_at%' " \
            "and state = 'active' and pid <> pg_backend_pid()"  # fmt: skip
        with database.connect() as connection:
            while time.monotonic() < deadline:
                found = connection.execute(active).fetchall()
                if found:
                    break
                time.sleep(0.02)
        time.sleep(0.3)
        act(found)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def cut(database: Postgres) -> Any:
    def act(found: list[tuple[int]]) -> None:
        for (pid,) in found:
            database.run(f"select pg_terminate_backend({pid})")

    return act


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A server of the test's own, which it may kill."""
    with postgres_server(tmp_path / "postgres") as server:
        monkeypatch.setenv("SHOP_PASSWORD", server.password)
        made = server.database("shop")
        made.run(TABLE)
        yield made


@pytest.mark.parametrize("how", ["killed", *slow("terminated")])
def test_a_connection_cut_in_the_middle_loses_and_doubles_nothing(
    make_shop: MakeShop, own_server: Postgres, how: str
) -> None:
    shop = make_shop(source(own_server, table="slow", options={
        "user": own_server.user, "password": reference("SHOP_PASSWORD"), "fetchsize": "10",
    }))  # fmt: skip
    own_server.run(SLOW)
    put(own_server, (-1, 1, "10:00"))
    shop.run()
    own_server.run(
        "insert into sale select n, n, timestamptz '2026-03-01 10:00:00+00' + n * interval '1 s' "
        "from generate_series(1, 100) n",
    )
    act = cut(own_server) if how == "terminated" else lambda _: own_server.kill()
    thread = while_reading(own_server, act)
    with pytest.raises(TransientError):
        shop.stage()
    thread.join(60)
    assert [row[0] for row in shop.rows()] == ["-1"]
    if how == "killed":
        with pytest.raises(TransientError):  # the server is down
            shop.stage()
        own_server.start()

    shop.run()

    assert sorted(int(row[0]) for row in shop.rows()) == [-1, *range(1, 101)]
    assert shop.run() is None


def test_a_run_that_is_killed_between_stage_and_publish_takes_everything_once(
    make_shop: MakeShop, shop_db: Postgres
) -> None:
    shop = make_shop(source(shop_db))
    put(shop_db, (1, 1, "10:00"))
    assert shop.stage() is not None  # and no publish
    put(shop_db, (2, 2, "10:01"), (1, 5, "10:02"))
    shop.run()
    assert shop.rows("bronze.sale", "id", "amount") == [("2", "2.0000"), ("1", "5.0000")]
    assert shop.run() is None


def test_a_server_without_a_free_connection_is_tried_again(
    make_shop: MakeShop, own_server: Postgres
) -> None:
    put(own_server, (1, 1, "10:00"))
    own_server.run(
        "create role clerk login password 'pa55' connection limit 1", "grant all on sale to clerk"
    )
    shop = make_shop(source(own_server, options={"user": "clerk", "password": "pa55"}))
    taken = psycopg.connect(
        host=own_server.host, port=own_server.port, user="clerk", password="pa55", dbname="shop"
    )
    with taken, pytest.raises(TransientError, match="too many connections"):
        shop.stage()
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1"]


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-jdbc.md"
TABLES = """create table payments (payment_id int, order_id int, amount numeric, updated_at timestamptz);
    create table purchases (order_id int, customer_id int, status text, changed timestamptz);
    create table members (member_id int, name text, changed timestamptz);
    insert into payments values (1, 1, 1.10, now()), (2, 1, 2, now());
    insert into purchases values (1, 7, 'new', now()), (2, 7, 'paid', now()), (3, 8, 'new', now());
    insert into members values (7, 'Ada', now())"""


def test_the_sources_of_the_page_read_a_database(
    make_shop: MakeShop, shop_db: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DB_HOST", f"{shop_db.host}:{shop_db.port}")
    monkeypatch.setenv("SHOP_DB_USER", shop_db.user)
    monkeypatch.setenv("SHOP_DB_PASSWORD", shop_db.password)
    OmegaConf.register_resolver("secret", reference, replace=True)  # as composing does
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    parts = [OmegaConf.create(block) for block in blocks]
    merged = OmegaConf.merge(OmegaConf.structured(DomainSpec), *parts)
    shop_db.run(*TABLES.split(";"))

    found = {}
    for name in ("payments", "purchases", "members"):
        one = OmegaConf.to_object(merged.bronze[name])
        assert isinstance(one, SourceSpec)
        attempt = make_shop(one).stage()
        assert attempt is not None
        found[name] = attempt.rows["ingested"]

    assert found == {"payments": 2, "purchases": 3, "members": 1}
