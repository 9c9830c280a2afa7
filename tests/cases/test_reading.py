"""Files of cases: what they may say, and what is said of a wrong one."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from storage.errors import ConfigurationError
from tasks.authoring.cases.reading import read
from tests.cases.conftest import Write

GOOD = """\
- name: one sale
  given:
    silver.sales:
      - &sale {id: a, amount: 1.50, sold_at: "2018-01-05 10:00:00", day: 2018-01-05}
      - {<<: *sale, id: 007, amount: null}
  expect:
    - {day: 2018-01-05, sales: 2}
- name: nothing
  expect: []
"""


def test_values_have_the_declared_types(write: Write) -> None:
    one, nothing = read(write(GOOD))
    first, second = one.given["silver.sales"]
    assert first["id"] == "a"
    assert first["amount"] == Decimal("1.50")
    assert first["sold_at"] == datetime(2018, 1, 5, 10, tzinfo=UTC)
    assert first["shop_id"] is None
    assert first["_is_deleted"] is False  # sales are marked when they are deleted
    assert (second["id"], second["amount"], second["day"]) == ("007", None, date(2018, 1, 5))
    assert one.place == "sql/tests/gold/daily.yml:1"
    assert one.compared == ("day", "sales")
    assert one.expect == [{"day": date(2018, 1, 5), "sales": 2}]
    assert (nothing.place, nothing.expect) == ("sql/tests/gold/daily.yml:8", [])
    assert nothing.compared == ("day",)


def test_rows_of_a_fold_have_a_place_in_their_delivery(write: Write) -> None:
    text = """\
- name: two deliveries
  given:
    rows:
      - {place: a, lat: 1}
      - {place: a, lat: 2, _delivery: 2}
      - {place: a, lat: 3, _sequence: 5}
  expect: []
"""
    (case,) = read(write(text, "silver/places"))
    places = [(r["_delivery"], r["_sequence"], r["_batch_id"]) for r in case.given["rows"]]
    assert places == [
        (1, 10_000_000_001, "delivery-1"), (2, 20_000_000_002, "delivery-2"), (1, 5, "delivery-1"),
    ]  # fmt: skip


FAULTS = {
    "unknown table": ("silver.sales:", "silver.sale:", 4,
        "given: silver.sale is not an input of gold.daily; inputs: silver.sales"),
    "a table that is not an input": ("silver.sales:", "silver.shops:", 4,
        "given: silver.shops is not an input of gold.daily; inputs: silver.sales"),
    "unknown column": ("{id: a,", "{nr: a,", 4,
        "given silver.sales: there is no column 'nr'; columns: id, shop_id"),
    "a value that cannot be cast": ("amount: 1.50", "amount: 1.505", 4,
        "given silver.sales: amount: '1.505' is not a decimal(18,2); write a number with no more digits"),
    "an instant in words": ('"2018-01-05 10:00:00"', "today", 4,
        "given silver.sales: sold_at: 'today' is not a timestamp; write an instant in UTC"),
    "a value that is a list": ("{day: 2018-01-05, sales: 2}", "{day: 2018-01-05, sales: [2]}", 7,
        "expect of gold.daily: sales: is not one value"),
    "unknown expected column": ("sales: 2}", "sale: 2}", 7,
        "expect of gold.daily: there is no column 'sale'; columns: day, sales, amount"),
    "an expected row without key": ("{day: 2018-01-05, sales: 2}", "{sales: 2}", 7,
        "expect: no row names day, which rows are matched by"),
    "unknown key": ("  given:\n", "  giving:\n", 1, "unknown key 'giving'; a case has name, given, expect"),
    "no name": ("- name: nothing\n  expect", "- expect", 8, "name: a case says in words what it shows"),
    "a name twice": ("- name: nothing", "- name: one sale", 8, "the name 'one sale' is taken by line 1"),
    "no expectation": ("nothing\n  expect: []", "nothing", 8,
        "expect: missing; write [] for an empty result"),
    "an expectation that is not a list": ("  expect: []", "  expect: {}", 9,
        "expect of gold.daily is a list, which is written with - or as []"),
    "a column twice": ("{id: a,", "{id: a, id: b,", 4, "a row of given silver.sales: id is given twice"),
    "no YAML": ("{day: 2018-01-05, sales: 2}", "{day: 2018-01-05", 8, "not readable as YAML: "),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), FAULTS.values(), ids=FAULTS)
def test_a_wrong_file_is_named_with_line_and_field(
    write: Write, old: str, new: str, line: int, message: str
) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ConfigurationError) as refused:
        read(write(GOOD.replace(old, new)))
    faults = [f.replace("daily.yml:5", "daily.yml:4") for f in refused.value.message.splitlines()]
    wanted = f"sql/tests/gold/daily.yml:{line}: {message}"
    assert all(fault.startswith(wanted) for fault in faults), faults
    assert "Fix the files" in refused.value.advice


def test_every_fault_is_named_at_once(write: Write) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(write(GOOD.replace("{id: a,", "{nr: a,").replace("sales: 2", "sales: two")))
    assert len({fault.split(": ")[0] for fault in refused.value.message.splitlines()}) >= 2


@pytest.mark.parametrize("table", ["gold/dayly", "silver/sales", "bronze/sales", "daily"])
def test_a_file_of_no_table_that_a_query_makes_is_refused(write: Write, table: str) -> None:
    domain = write(GOOD, table)
    label = table.replace("/", ".")
    with pytest.raises(
        ConfigurationError, match=f"{table}.yml:1: no query makes {label}; name the"
    ):
        read(domain)


def test_tables_can_be_chosen(write: Write) -> None:
    domain = write(GOOD)
    write("- oops", "gold/ranked")
    assert [c.name for c in read(domain, ["gold.daily"])] == ["one sale", "nothing"]
    with pytest.raises(ConfigurationError, match=r"silver.places has no cases; write them in sql/"):
        read(domain, ["silver.places"])
    with pytest.raises(ConfigurationError, match=r"no query makes silver.sales; tables: "):
        read(domain, ["silver.sales"])
