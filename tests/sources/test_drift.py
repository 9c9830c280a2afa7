"""Columns that a source delivers and the domain does not declare, and columns that go missing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from storage.types import TableRef
from tasks import run_table
from tasks.context import Attempt, Context
from tasks.domain.schemas import quarantine_of
from tasks.domain.spec import DriftMode, FileFormat, SourceKind, SourceSpec
from tasks.ingest import drift
from tasks.ingest.records import evolved_columns
from tasks.merge import silver
from tasks.notes import Notes
from tasks.ops.tables import ops_table
from tasks.records.contracts import outdated
from tasks.records.decisions import Decision
from tasks.run_table import check, publish
from tests.sessions import slow
from tests.sources.conftest import MakeShop
from tests.sources.shop import Database, Shop

SALE = TableRef("shop", "bronze", "sale")


def source(drift: DriftMode, **more: Any) -> SourceSpec:
    return SourceSpec(pattern="*.csv", columns=["id", "amount"], drift=drift, **more)


def changes(shop: Shop) -> list[dict[str, Any]]:
    """The report of changed columns."""
    store = shop.context(spark=False).store
    if not store.exists(ops_table("schema_changes")):
        return []
    rows = store.read_arrow(ops_table("schema_changes")).to_pylist()
    return sorted(rows, key=lambda row: row["recorded_at"])


def problem(shop: Shop) -> tuple[str, str]:
    """Batch and message of the one delivery that is kept out."""
    attempt = shop.stage()
    assert attempt is not None
    assert shop.check(attempt).verdict.blocked
    (found,) = attempt.problems
    return found.batch_id, found.message


def test_rescued_columns_are_kept_and_reported_once(make_shop: MakeShop, format_name: str) -> None:
    shop = make_shop(source(DriftMode.rescue), format_name)
    shop.write("1.csv", "id,amount", "a,1")
    shop.run()
    assert changes(shop) == []
    for number in (2, 3):
        shop.write(f"{number}.csv", "id,amount,colour", f"b{number},2,red")
        shop.run()
    kept = [text and json.loads(text) for (text,) in shop.rows("bronze.sale", "_rescued")]
    assert kept == [None, {"colour": "red"}, {"colour": "red"}]
    (change,) = changes(shop)
    assert (change["table_name"], change["mode"], change["outcome"]) == (
        "bronze.sale", "rescue", "applied"
    )  # fmt: skip
    assert change["change"] == "brings colour, which is not declared"
    assert json.loads(change["before"]) == {"id": "string", "amount": "string"}
    assert json.loads(change["after"]) == {"id": "string", "amount": "string", "colour": "string"}
    assert change["batch_id"].startswith("sale-")


def test_evolving_adds_the_column_and_expects_it_from_then_on(
    make_shop: MakeShop, format_name: str
) -> None:
    shop = make_shop(source(DriftMode.evolve), format_name)
    shop.write("1.csv", "id,amount", "a,1")
    shop.run()
    shop.run("silver.sale")
    shop.write("2.csv", "colour,id,amount,odd name", "red,b,2,x")
    shop.run()
    shop.run("silver.sale")
    assert shop.rows("silver.sale", "id") == [("a",), ("b",)]
    names = ("id", "colour", "_rescued", "_quality_flag")
    assert [row[:2] for row in shop.rows("bronze.sale", *names)] == [("a", None), ("b", "red")]
    # A name that cannot be a column stays where it was.
    assert json.loads(shop.rows("bronze.sale", "_rescued")[1][0])["odd name"] == "x"
    shop.write("3.csv", "id,amount,colour", "c,3,blue")
    shop.run()
    assert shop.rows("bronze.sale", *names)[2] == ("c", "blue", None, "ok")
    assert [c["change"] for c in changes(shop)] == [
        "brings colour, odd name, which are not declared"
    ]

    shop.write("4.csv", "id,amount,color", "d,4,green")
    batch, message = problem(shop)
    assert message == "4.csv: the header lacks colour (was it renamed to color?)"
    shop.resolve(batch, Decision.accepted)
    shop.run()
    assert shop.rows("bronze.sale", "colour", "color")[3] == (None, "green")
    shop.write("5.csv", "id,amount,color", "e,5,green")
    shop.run()  # what was accepted is expected now
    # Silver changes only when the domain declares the column.
    shop.run("silver.sale")
    assert (
        "colour"
        not in shop.context(spark=False).store.columns(TableRef("shop", "silver", "sale")).names
    )
    assert len(shop.rows("silver.sale", "id")) == 5


def test_deliveries_of_one_run_are_compared_with_one_another(make_shop: MakeShop) -> None:
    shop = make_shop(source(DriftMode.evolve))
    shop.write("1.csv", "id,amount", "a,1")
    shop.run()
    shop.write("2.csv", "id,amount,colour", "b,2,red")
    shop.write("3.csv", "id,amount,colour", "c,3,blue")
    shop.write("4.csv", "id,amount", "d,4")
    batch, message = problem(shop)
    assert message == "4.csv: the header lacks colour"
    shop.resolve(batch, Decision.accepted)
    shop.run()
    assert [c[0] for c in shop.rows("bronze.sale", "colour")] == [None, "red", "blue", None]
    applied = [c["change"] for c in changes(shop) if c["outcome"] == "applied"]
    assert applied == ["brings colour, which is not declared", "lacks colour"]


def test_a_frozen_source_blocks_and_takes_an_accepted_delivery_as_rescued(
    make_shop: MakeShop, format_name: str
) -> None:
    shop = make_shop(source(DriftMode.freeze), format_name)
    shop.write("1.csv", "id,amount", "a,1")
    shop.run()
    shop.write("2.csv", "id,amount,colour", "b,2,red")
    batch, message = problem(shop)
    assert message == "2.csv: the header brings colour, which is not declared"
    shop.resolve(batch, Decision.accepted)
    shop.run()
    assert json.loads(shop.rows("bronze.sale", "_rescued")[1][0]) == {"colour": "red"}
    assert "colour" not in shop.context(spark=False).store.columns(SALE).names
    shop.write("3.csv", "id,amount,colour", "c,3,red")
    assert problem(shop)[0] != batch


def test_a_repeat_after_a_kill_adds_and_reports_nothing_twice(make_shop: MakeShop) -> None:
    shop = make_shop(source(DriftMode.evolve))
    shop.write("1.csv", "id,amount,colour", "a,1,red")
    attempt = shop.stage()
    assert attempt is not None
    drift.apply(shop.context(), attempt)  # and the process dies before the rows are appended
    assert shop.rows("bronze.sale", "id") == []
    shop.run()
    assert shop.rows("bronze.sale", "id", "colour") == [("a", "red")]
    assert len(changes(shop)) == 1


def _rebuilt(shop: Shop) -> None:
    """Silver, built again as `lakehouse upgrade` does."""
    context = shop.context()
    context = replace(context, run=replace(context.run, rebuild=True))
    ref = context.domain.ref("silver.sale")
    run_table.create(context, ref)
    attempt = silver.stage(context, ref)
    assert attempt is not None
    report = check(context, attempt)
    assert not report.verdict.blocked, report.verdict.reasons
    publish(context, attempt, report)


@pytest.mark.parametrize("mode", [DriftMode.evolve, *slow(DriftMode.rescue)])
def test_old_rows_are_read_again_when_their_column_is_declared(
    make_shop: MakeShop, format_name: str, mode: DriftMode
) -> None:
    shop = make_shop(
        SourceSpec(pattern="*.jsonl", columns=["id"], format=FileFormat.jsonl, drift=mode),
        format_name,
    )
    shop.write("1.jsonl", '{"id":"a","weight":12345678901234567.10}', '{"id":"","weight":2}')
    shop.write("2.jsonl", '{"id":"b"}', '{"id":"c","weight":null}')
    shop.run()
    shop.run("silver.sale")
    before = shop.context(spark=False)
    assert outdated(before, [before.domain.ref("silver.sale")]) == []

    declared = shop.with_source(columns=["weight", "id"])
    context = declared.context(spark=False)
    assert [o.table.label for o in outdated(context, [context.domain.ref("silver.sale")])] == [
        "silver.sale"
    ]
    _rebuilt(declared)
    assert sorted(declared.rows("silver.sale", "id", "weight")) == [
        ("a", "12345678901234567.10"), ("b", None), ("c", None)
    ]  # fmt: skip
    kept = declared.rows("silver.sale__quarantine", "id", "weight", "_rule")
    assert kept == [("", "2", "key_missing")]
    assert [c["mode"] for c in changes(declared)][-1] == "upgrade"
    # The next delivery brings the column itself, and both tables go on.
    declared.write("3.jsonl", '{"id":"d","weight":4}')
    declared.run()
    declared.run("silver.sale")
    assert ("d", "4") in declared.rows("silver.sale", "id", "weight")


def test_json_lines_that_rename_a_key_are_blocked(make_shop: MakeShop) -> None:
    shop = make_shop(SourceSpec(pattern="*.jsonl", columns=["id", "at"], format=FileFormat.jsonl))
    shop.write("1.jsonl", '{"id":"a","at":"x"}')
    shop.run()
    shop.write("2.jsonl", '{"id":"b"}')
    shop.run()  # an absent key is null
    shop.write("3.jsonl", '{"id":"c","at":"y"}')
    shop.run()
    shop.write("4.jsonl", '{"id":"d","moment":"z"}')
    assert "lacks at (was it renamed to moment?)" in problem(shop)[1]


@pytest.mark.slow
def test_json_lines_without_an_evolved_key_are_taken_and_a_renamed_one_is_blocked(
    make_shop: MakeShop,
) -> None:
    shop = make_shop(
        SourceSpec(
            pattern="*.jsonl", columns=["id"], format=FileFormat.jsonl, drift=DriftMode.evolve
        )
    )
    for number, key in enumerate(("", "coupon", "", "coupon", "")):
        other = f',"{key}":"x"' if key else ""
        shop.write(f"{number}.jsonl", f'{{"id":"{number}"{other}}}')
        shop.run()
    assert shop.rows("bronze.sale", "id", "coupon") == [
        ("0", None), ("1", "x"), ("2", None), ("3", "x"), ("4", None),
    ]  # fmt: skip
    assert [change["change"] for change in changes(shop)] == [
        "brings coupon, which is not declared"
    ]
    shop.write("5.jsonl", '{"id":"5","coupon":"y"}')
    shop.run()
    shop.write("6.jsonl", '{"id":"6","voucher":"z"}')
    assert "lacks coupon (was it renamed to voucher?)" in problem(shop)[1]


def _extracted(database: Database, mode: DriftMode) -> SourceSpec:
    return SourceSpec(
        columns=["id", "amount"], kind=SourceKind.jdbc, url=database.url, table="sale", drift=mode
    )


@pytest.mark.parametrize("mode", [DriftMode.evolve, *slow(DriftMode.rescue)])
def test_columns_of_a_database_that_are_not_declared(
    make_shop: MakeShop, database: Database, mode: DriftMode
) -> None:
    shop = make_shop(_extracted(database, mode))
    database.put(("a", 1, "x"))
    shop.run()
    assert (Notes.of(shop.record()).delivered or {})["at"] == "string"
    (kept,) = shop.rows("bronze.sale", "_rescued")
    if mode is DriftMode.rescue:
        assert json.loads(kept[0]) == {"at": "x"}
    else:
        assert kept == (None,)
        assert shop.rows("bronze.sale", "id", "at") == [("a", "x")]


def test_a_narrower_type_of_a_database_blocks(make_shop: MakeShop, database: Database) -> None:
    shop = make_shop(_extracted(database, DriftMode.rescue))
    database.put(("a", 1, "x"))
    shop.run()
    database.execute("drop table sale")
    database.execute("create table sale (id text primary key, amount integer, at text)")
    database.put(("a", 1, "x"), ("b", 2, "y"))
    batch, message = problem(shop)
    assert message.endswith("the table amount is bigint, was string, which is narrower")
    shop.resolve(batch, Decision.accepted)
    attempt = shop.run()
    assert isinstance(attempt, Attempt)
    database.put(("c", 3, "z"))
    shop.run()  # the type that was accepted is the one compared with from now on


@pytest.mark.slow
def test_a_declared_column_that_goes_stays_in_the_tables(
    make_shop: MakeShop, format_name: str
) -> None:
    shop = make_shop(source(DriftMode.rescue), format_name)
    shop.write("1.csv", "id,amount", "a,1", ",2")
    shop.run()
    shop.run("silver.sale")
    fewer = shop.with_source(columns=["id"])
    context: Context = fewer.context()
    assert evolved_columns(context, SALE) == ["amount"]
    fewer.write("2.csv", "id,amount", "b,3", ",4")
    fewer.run()
    _rebuilt(fewer)
    assert sorted(fewer.rows("silver.sale", "id")) == [("a",), ("b",)]
    ref = quarantine_of(context.domain.ref("silver.sale"))
    assert "amount" not in context.store.columns(ref).names


@pytest.mark.slow
@pytest.mark.parametrize("columns", [(["id", "__m"], ["id"]), (["id"], ["id", "__m"])])
def test_a_source_may_declare_others_that_silver_does_not_read(
    make_shop: MakeShop, format_name: str, columns: tuple[list[str], list[str]]
) -> None:
    """Nothing is rebuilt: bronze and the quarantine take rows with and without the column."""
    shop = make_shop(SourceSpec(pattern="*.csv", columns=columns[0]), format_name)
    for number, declared in enumerate((columns[0], columns[1], columns[1]), start=1):
        shop = shop.with_source(columns=declared)
        context = shop.context(spark=False)
        assert outdated(context, [context.domain.ref("silver.sale")]) == []
        shop.write(f"{number}.csv", "id,__m", f"a{number},1", f",{number}")
        shop.run()
        shop.run("silver.sale")
    assert len(shop.rows("silver.sale", "id")) == 3
    found = shop.rows("silver.sale__quarantine", "id", "__m", "_rule")
    given = [
        str(n) if "__m" in c else None
        for n, c in enumerate((columns[0], columns[1], columns[1]), 1)
    ]
    assert found == [("", value, "key_missing") for value in given]
