"""Values of PostgreSQL's types as exact text, whatever the calendar."""

from __future__ import annotations

import pytest

from storage.errors import TerminalError
from tasks.domain.spec import WatermarkSpec
from tests.services.postgres import Postgres
from tests.sources.conftest import MakeShop
from tests.sources.shop_database import asked, source

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
