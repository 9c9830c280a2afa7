from __future__ import annotations

from pathlib import Path

import pytest
from sqlglot.errors import TokenError

from storage.sql import literal, quote
from tasks.domain.sql_text import named_tables, to_views, trimmed

SQL_FILES = sorted((Path(__file__).parents[2] / "tasks" / "sql").rglob("*.sql"))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1", "select 1"),
        ("select * from silver.orders", "select * from silver_orders"),
        ("from gold.a join bronze.b", "from gold_a join bronze_b"),
        ("select silver.a.x from silver.a", "select silver_a.x from silver_a"),
        ("select * from `silver`.`orders`", "select * from silver_orders"),
        ("select o.silver.x from silver.o o", "select o.silver.x from silver_o o"),
        ("select 'silver.a' from silver.a", "select 'silver.a' from silver_a"),
        ("select '\\'' , 'it''s gold.x'", "select '\\'' , 'it''s gold.x'"),
        ("-- see gold.x\nselect 1 /* gold.y */", "-- see gold.x\nselect 1 /* gold.y */"),
        ("select * from gold.date -- gold.x", "select * from gold_date -- gold.x"),
        ("select 'é' from silver.a", "select 'é' from silver_a"),
        ("select * from ops.runs", "select * from ops_runs"),
        ("select * from other.orders, golden.x", "select * from other.orders, golden.x"),
        ("select silver_orders.x", "select silver_orders.x"),
        ("select a.x, 1.5 from gold.a a", "select a.x, 1.5 from gold_a a"),
    ],
)
def test_table_names_become_views(sql: str, expected: str) -> None:
    assert to_views(sql) == expected


@pytest.mark.parametrize(
    ("sql", "dialect", "expected"),
    [
        ("select 1", None, "select 1"),
        (" select 1 ; ", "postgres", "select 1"),
        ("select 1 -- all", "postgres", "select 1"),
        (
            "select 'é;--' /* a;b */ from t;; -- x\n;/* y */\n",
            "postgres",
            "select 'é;--' /* a;b */ from t",
        ),
        ('select "a--b;" ; select 2', "postgres", 'select "a--b;" ; select 2'),
        ("select $$--;$$ -- x", "postgres", "select $$--;$$"),
        ("select 1 # all", "mysql", "select 1"),
        ("select a # b from t", "postgres", "select a # b from t"),
        ("select 1 -- all", "h2", "select 1"),
        ("select 'open -- x", "postgres", "select 'open -- x"),
        ("-- nothing", "postgres", "-- nothing"),
    ],
)
def test_a_query_is_trimmed_of_what_it_ends_in(
    sql: str, dialect: str | None, expected: str
) -> None:
    assert trimmed(sql, dialect) == expected


def test_views_can_have_a_prefix_of_their_own() -> None:
    text = "select max(d) from silver.orders where s = 'silver.orders'"
    expected = "select max(d) from old_silver_orders where s = 'silver.orders'"
    assert to_views(text, "old_") == expected


def test_an_unclosed_quote_is_an_error() -> None:
    with pytest.raises(TokenError):
        to_views("select 'silver.a from silver.a")


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("select max(x) from silver.orders", {"silver.orders"}),
        ("with o as (select * from silver.a) select * from o join gold.b using (id)",
         {"silver.a", "gold.b"}),
        ("select 'gold.x' from (select 1) t", set()),
    ],
)  # fmt: skip
def test_the_tables_of_a_query_are_found(sql: str, tables: set[str]) -> None:
    assert set(named_tables(sql)) == tables


def test_the_names_of_tables_have_the_line_of_their_first_place() -> None:
    text = "-- gold.x\nselect silver.a.x\nfrom silver.a\ncross join `gold`.b where c = 'silver.c'"
    assert named_tables(text) == {"silver.a": 2, "gold.b": 4}


@pytest.mark.parametrize("file", SQL_FILES, ids=lambda file: file.stem)
def test_the_sql_of_the_domains_reads_views_alone(file: Path) -> None:
    sql = file.read_text("utf-8")
    assert named_tables(to_views(sql)) == {}
    assert all(label.replace(".", "_") in to_views(sql) for label in named_tables(sql))


def test_an_identifier_is_quoted_whatever_it_holds() -> None:
    assert quote("order id") == "`order id`"
    assert quote("a`b; drop") == "`a``b; drop`"


@pytest.mark.parametrize(
    ("value", "quoted"),
    [("a", "'a'"), ("", "''"), ("it's", r"'it\'s'"), ("a\\", r"'a\\'"), (r"\'", r"'\\\''")],
)
def test_a_literal_is_escaped(value: str, quoted: str) -> None:
    assert literal(value) == quoted
