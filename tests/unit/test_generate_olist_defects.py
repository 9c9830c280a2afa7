"""Defects that the olist generator plants: a truth file that tells the truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tasks.generate.olist.generator import generate, row_counts
from tests.unit.olist_delivery import DEPENDANTS, FILE_OF, KEYS, Delivery, Record, day

INTEGERS = {"order_item_id", "payment_sequential", "payment_installments", "review_score"}
MEASURES = ("_lenght", "_qty", "_weight_g", "_cm")
DECIMALS = {"price", "freight_value", "payment_value", "geolocation_lat", "geolocation_lng"}
REQUIRED = {"price", "freight_value", "payment_value", "review_score", "order_purchase_timestamp"}
AMOUNTS = {"price", "freight_value", "payment_value"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    return Delivery(generate(tmp_path_factory.mktemp("clean"), rows=3000, seed=3))


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    to = tmp_path_factory.mktemp("flawed")
    return Delivery(generate(to, rows=3000, seed=3, defects=0.04))


def parses(column: str, text: str) -> bool:
    try:
        if column in INTEGERS or column.endswith(MEASURES):
            int(text)
        elif column in DECIMALS:
            float(text)
        elif column.endswith(("_date", "_timestamp", "_approved_at")):
            datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return False
    return True


def broken_rules(table: str, record: Record) -> Iterator[str]:
    """The row rules that a record breaks, by a second implementation of the specification."""
    if any(record[column] == "" for column in KEYS[table]):
        yield "key_missing"
    good = {column for column, text in record.items() if text and parses(column, text)}
    if any(text and column not in good for column, text in record.items()):
        yield "not_parseable"
    if any(column in REQUIRED and text == "" for column, text in record.items()):
        yield "required_missing"
    if any(column in AMOUNTS and float(record[column]) < 0 for column in good):
        yield "negative_amount"
    if "review_score" in good and not 1 <= int(record["review_score"]) <= 5:
        yield "score_out_of_range"
    if {"order_purchase_timestamp", "order_delivered_customer_date"} <= good:
        days = day(record["order_delivered_customer_date"]) - day(
            record["order_purchase_timestamp"]
        )
        if days.days > 365:
            yield "delivery_too_long"


def expected_quarantine(delivery: Delivery) -> dict[str, list[tuple[int, str]]]:
    """What one delivery must leave in quarantine; a record with two reasons fails."""
    held: dict[str, list[tuple[int, str]]] = {}
    known: set[str] = set()
    for table, records in delivery.tables.items():
        held[table] = []
        for number, record in enumerate(records, start=1):
            rules = list(broken_rules(table, record))
            assert len(rules) <= 1, (table, number, rules)
            if not rules and table == "orders":
                known.add(record["order_id"])
            if not rules and table in DEPENDANTS and record["order_id"] not in known:
                rules = ["reference_missing"]
            held[table] += [(number, rule) for rule in rules]
    return held


def truth_quarantine(delivery: Delivery) -> dict[str, list[tuple[int, str]]]:
    return {
        table: [(entry["record"], entry["rule"]) for entry in entries]
        for table, entries in delivery.truth["quarantine"].items()
    }


def test_without_defects_nothing_is_planted_or_breaks_a_rule(clean: Delivery) -> None:
    assert clean.truth["defects"] == []
    assert expected_quarantine(clean) == truth_quarantine(clean) == {table: [] for table in KEYS}
    for table in KEYS.keys() - {"geolocation"}:
        records = clean.tables[table]
        assert len({tuple(r[c] for c in KEYS[table]) for r in records}) == len(records), table


def test_every_planted_record_is_in_its_file_as_described(flawed: Delivery) -> None:
    for defect in flawed.truth["defects"]:
        table = defect["table"]
        assert defect["file"] == FILE_OF[table]
        record = flawed.tables[table][defect["record"] - 1]
        assert defect["key"] == {column: record[column] for column in KEYS[table]}
        if defect["column"] is not None:
            assert record[defect["column"]] == defect["value"]
    for defect in flawed.defects("duplicate"):
        records = flawed.tables[defect["table"]]
        assert defect["follows"] < defect["record"]
        assert records[defect["record"] - 1] == records[defect["follows"] - 1]
    for defect in flawed.defects("correction"):
        records = flawed.tables[defect["table"]]
        before, after = records[defect["follows"] - 1], records[defect["record"] - 1]
        assert defect["follows"] < defect["record"]
        assert {c for c in before if before[c] != after[c]} == {defect["column"]}
    orders = {record["order_id"] for record in flawed.tables["orders"]}
    for defect in flawed.defects("orphan"):
        assert defect["key"]["order_id"] not in orders


def test_a_correction_is_the_last_record_of_its_key(flawed: Delivery) -> None:
    last = {
        table: {tuple(r[c] for c in KEYS[table]): n for n, r in enumerate(records, start=1)}
        for table, records in flawed.tables.items()
    }
    corrections = flawed.defects("correction")
    assert {defect["table"] for defect in corrections} == KEYS.keys() - {"geolocation"}
    for defect in corrections:
        assert last[defect["table"]][tuple(defect["key"].values())] == defect["record"]


def test_every_kind_and_rule_is_planted_at_about_the_rate(flawed: Delivery) -> None:
    base = row_counts(3000)
    count = Counter((d["table"], d["kind"]) for d in flawed.truth["defects"])
    for table, rows in base.items():
        planted = flawed.truth["rows"][FILE_OF[table]] - rows
        assert planted > 0
        kinds = ["rule", "duplicate"]
        kinds += [] if table == "geolocation" else ["correction"]
        kinds += ["orphan"] if table in DEPENDANTS else []
        for kind in kinds:
            assert count[table, kind] == pytest.approx(rows * 0.04, abs=2), (table, kind)
    rules: dict[str, set[str]] = defaultdict(set)
    for defect in flawed.defects("rule"):
        rules[defect["table"]].add(defect["rule"])
    for table in KEYS:
        expected = {"key_missing"}
        if table not in {"customers", "sellers", "category_translation"}:
            expected.add("not_parseable")
        if table == "orders":
            expected |= {"required_missing", "delivery_too_long"}
        if table in DEPENDANTS:
            expected.add("required_missing")
        if table in {"order_items", "order_payments"}:
            expected.add("negative_amount")
        if table == "order_reviews":
            expected.add("score_out_of_range")
        assert rules[table] == expected, table


def test_broken_records_come_before_and_after_good_ones_of_their_key(flawed: Delivery) -> None:
    corrected = {(d["table"], d["follows"]) for d in flawed.defects("correction")}
    broken = flawed.defects("rule")
    assert any(d["follows"] is not None and d["follows"] < d["record"] for d in broken)
    assert any((d["table"], d["record"]) in corrected for d in broken)
    assert any(d["follows"] is None and (d["table"], d["record"]) not in corrected for d in broken)


@pytest.mark.parametrize(
    ("orders", "seed", "rate"),
    [(50, 1, 0.001), (50, 2, 0.5), (400, 3, 0.01), (1500, 4, 0.07), (1500, 5, 0.5)],
)
def test_quarantine_equals_a_second_implementation_of_the_rules(
    tmp_path: Path, orders: int, seed: int, rate: float
) -> None:
    delivery = Delivery(generate(tmp_path, rows=orders, seed=seed, defects=rate))
    expected = expected_quarantine(delivery)
    assert truth_quarantine(delivery) == expected
    held = {(table, n): rule for table, entries in expected.items() for n, rule in entries}
    planted = delivery.defects("rule", "orphan")
    assert all(held[d["table"], d["record"]] == d["rule"] for d in planted)
    waiting = [rule for rule in held.values() if rule == "reference_missing"]
    assert len(waiting) > len(delivery.defects("orphan"))
    assert delivery.truth["seed"] == seed
    assert delivery.truth["parameters"] == {"rows": orders, "seed": seed, "defects": rate}


def test_defects_leave_the_sound_data_as_it_is(clean: Delivery, flawed: Delivery) -> None:
    for table, records in clean.tables.items():
        added = {
            d["record"]
            for d in flawed.truth["defects"]
            if d["table"] == table and (d["follows"] is not None or d["kind"] == "orphan")
        }
        broken = {d["record"] for d in flawed.defects("rule") if d["table"] == table} - added
        kept = [
            (number in broken, record)
            for number, record in enumerate(flawed.tables[table], start=1)
            if number not in added
        ]
        assert len(kept) == len(records)
        for (is_broken, record), original in zip(kept, records, strict=True):
            assert (record == original) is not is_broken
