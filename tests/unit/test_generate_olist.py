"""The olist generator: reproducible bytes, proportions, and a truth file that tells the truth."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from storage.errors import StorageDeniedError
from tasks.generate.csv_writing import replacing
from tasks.generate.generated import Generated
from tasks.generate.olist.generator import generate, row_counts

COLUMNS = {
    "olist_orders_dataset.csv": (
        "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
        "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date"
    ),
    "olist_order_items_dataset.csv": (
        "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value"
    ),
    "olist_order_payments_dataset.csv": (
        "order_id,payment_sequential,payment_type,payment_installments,payment_value"
    ),
    "olist_order_reviews_dataset.csv": (
        "review_id,order_id,review_score,review_comment_title,review_comment_message,"
        "review_creation_date,review_answer_timestamp"
    ),
    "olist_customers_dataset.csv": (
        "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state"
    ),
    "olist_products_dataset.csv": (
        "product_id,product_category_name,product_name_lenght,product_description_lenght,"
        "product_photos_qty,product_weight_g,product_length_cm,product_height_cm,product_width_cm"
    ),
    "olist_sellers_dataset.csv": "seller_id,seller_zip_code_prefix,seller_city,seller_state",
    "olist_geolocation_dataset.csv": (
        "geolocation_zip_code_prefix,geolocation_lat,geolocation_lng,geolocation_city,"
        "geolocation_state"
    ),
    "product_category_name_translation.csv": (
        "product_category_name,product_category_name_english"
    ),
}
FILE_OF = dict(
    zip(
        (
            "orders",
            "order_items",
            "order_payments",
            "order_reviews",
            "customers",
            "products",
            "sellers",
            "geolocation",
            "category_translation",
        ),
        COLUMNS,
        strict=True,
    )
)
KEYS = {
    "orders": ("order_id",),
    "order_items": ("order_id", "order_item_id"),
    "order_payments": ("order_id", "payment_sequential"),
    "order_reviews": ("review_id", "order_id"),
    "customers": ("customer_id",),
    "products": ("product_id",),
    "sellers": ("seller_id",),
    "geolocation": ("geolocation_zip_code_prefix",),
    "category_translation": ("product_category_name",),
}
INTEGERS = {"order_item_id", "payment_sequential", "payment_installments", "review_score"}
MEASURES = ("_lenght", "_qty", "_weight_g", "_cm")
DECIMALS = {"price", "freight_value", "payment_value", "geolocation_lat", "geolocation_lng"}
REQUIRED = {"price", "freight_value", "payment_value", "review_score", "order_purchase_timestamp"}
AMOUNTS = {"price", "freight_value", "payment_value"}
DEPENDANTS = ("order_items", "order_payments", "order_reviews")
SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "olist_sample"

Record = dict[str, str]


class Delivery:
    """A generated folder, read back by the standard library."""

    def __init__(self, made: Generated) -> None:
        self.made = made
        self.folder = made.truth.parent
        self.truth: dict[str, Any] = json.loads(made.truth.read_text(encoding="utf-8"))
        self.tables: dict[str, list[Record]] = {}
        for table, file in FILE_OF.items():
            with (self.folder / file).open(encoding="utf-8", newline="") as stream:
                self.tables[table] = list(csv.DictReader(stream, strict=True))

    def defects(self, *kinds: str) -> list[dict[str, Any]]:
        return [defect for defect in self.truth["defects"] if defect["kind"] in kinds]


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


@cache
def day(text: str) -> date:
    return date.fromisoformat(text[:10])


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


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 11), ("b", 11), ("c", 12)):
        generate(tmp_path / name, rows=200, seed=seed, defects=0.05)
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert sorted(a) == sorted([*COLUMNS, "olist_truth.json"])
    assert [name for name in COLUMNS if a[name] == c[name]] == []


def test_generating_again_replaces_what_was_there(tmp_path: Path) -> None:
    generate(tmp_path, rows=300, seed=1, defects=0.1)
    generate(tmp_path, rows=100, seed=2)
    generate(tmp_path / "fresh", rows=100, seed=2)
    fresh = contents(tmp_path / "fresh")
    assert {name: (tmp_path / name).read_bytes() for name in fresh} == fresh
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob(".*.partial"))


def test_an_interrupted_file_does_not_appear(tmp_path: Path) -> None:
    target = tmp_path / "file.csv"
    target.write_text("before")
    with pytest.raises(StorageDeniedError, match="disk"), replacing(target) as stream:  # noqa: PT012
        stream.write("half")
        raise OSError("disk full")
    assert contents(tmp_path) == {"file.csv": b"before"}


def test_full_size_counts_are_those_of_the_original() -> None:
    assert list(row_counts(99_441).values()) == [
        99_441, 112_650, 103_886, 99_224, 99_441, 32_951, 3_095, 1_000_163, 71,
    ]  # fmt: skip


@pytest.mark.parametrize("orders", [50, 777, 3000])
def test_files_hold_the_computed_counts(tmp_path: Path, orders: int) -> None:
    made = generate(tmp_path, rows=orders, seed=5)
    delivery = Delivery(made)
    expected = row_counts(orders)
    assert {table: len(records) for table, records in delivery.tables.items()} == expected
    assert [file.rows for file in made.files] == list(expected.values())
    assert [file.name for file in made.files] == list(COLUMNS)
    assert [file.bytes for file in made.files] == [
        (tmp_path / file.name).stat().st_size for file in made.files
    ]
    assert delivery.truth["rows"] == {file.name: file.rows for file in made.files}


def test_headers_are_the_original_ones(clean: Delivery) -> None:
    for file, header in COLUMNS.items():
        with (clean.folder / file).open(encoding="utf-8") as stream:
            assert stream.readline() == header + "\n"


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the real sample is not beside the repository")
def test_headers_are_those_of_the_real_sample(clean: Delivery) -> None:
    for file in COLUMNS:
        real = (SAMPLE / file).read_bytes().split(b"\n", 1)[0]
        assert (clean.folder / file).read_bytes().split(b"\n", 1)[0] == real


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("defects", -0.01),
        ("defects", 0.51),
        ("defects", float("nan")),
        ("rows", 49),
        ("seed", -1),
    ],
)
def test_a_parameter_out_of_range_is_named(tmp_path: Path, parameter: str, value: float) -> None:
    bad: dict[str, Any] = {parameter: value}
    with pytest.raises(ValueError, match=rf"^{parameter}( .*)? must be .*, got {value}"):
        generate(tmp_path / "out", **bad)
    assert not (tmp_path / "out").exists()


def test_without_defects_nothing_is_planted_or_breaks_a_rule(clean: Delivery) -> None:
    assert clean.truth["defects"] == []
    assert expected_quarantine(clean) == truth_quarantine(clean) == {table: [] for table in KEYS}
    for table in KEYS.keys() - {"geolocation"}:
        records = clean.tables[table]
        assert len({tuple(r[c] for c in KEYS[table]) for r in records}) == len(records), table


def test_references_and_totals_hold_together(clean: Delivery) -> None:
    tables = clean.tables
    ids = {
        column: {record[column] for record in tables[table]}
        for table, column in (
            ("customers", "customer_id"),
            ("products", "product_id"),
            ("sellers", "seller_id"),
        )
    }
    assert {order["customer_id"] for order in tables["orders"]} == ids["customer_id"]
    assert {item["product_id"] for item in tables["order_items"]} <= ids["product_id"]
    assert {item["seller_id"] for item in tables["order_items"]} <= ids["seller_id"]
    owed: Counter[str] = Counter()
    paid: Counter[str] = Counter()
    for item in tables["order_items"]:
        owed[item["order_id"]] += cents(item["price"]) + cents(item["freight_value"])
    for payment in tables["order_payments"]:
        paid[payment["order_id"]] += cents(payment["payment_value"])
    undefined = {
        p["order_id"] for p in tables["order_payments"] if p["payment_type"] == "not_defined"
    }
    assert all(paid[order] == total for order, total in owed.items() if order not in undefined)


def cents(text: str) -> int:
    return round(float(text) * 100)


def test_distributions_are_plausible(clean: Delivery) -> None:
    orders, reviews = clean.tables["orders"], clean.tables["order_reviews"]
    months = Counter(order["order_purchase_timestamp"][:7] for order in orders)
    assert min(months) >= "2016-09"
    assert max(months) <= "2018-10"
    assert months["2018-05"] > 1.3 * months["2017-05"]
    days = Counter(order["order_purchase_timestamp"][:10] for order in orders)
    assert days.most_common(1)[0][0] == "2017-11-24"
    delivered = [order for order in orders if order["order_delivered_customer_date"]]
    late = sum(
        day(order["order_delivered_customer_date"]) > day(order["order_estimated_delivery_date"])
        for order in delivered
    )
    assert 0.04 < late / len(delivered) < 0.12
    assert 0.95 < len(delivered) / len(orders) < 0.99
    scores = Counter(review["review_score"] for review in reviews)
    assert 0.5 < scores["5"] / len(reviews) < 0.65
    assert scores["1"] > scores["2"]
    people = {record["customer_unique_id"] for record in clean.tables["customers"]}
    assert 0.96 < len(people) / len(orders) < 0.975


def test_the_defects_of_the_real_data_are_there(clean: Delivery) -> None:
    tables = clean.tables
    filled = {item["order_id"] for item in tables["order_items"]}
    empty = {o["order_status"] for o in tables["orders"] if o["order_id"] not in filled}
    assert {"canceled", "unavailable"} <= empty
    messages = [review["review_comment_message"] for review in tables["order_reviews"]]
    assert any("\r\n" in message and '"' in message for message in messages)
    raw = (clean.folder / FILE_OF["order_reviews"]).read_text(encoding="utf-8")
    assert '""' in raw
    assert max(Counter(review["review_id"] for review in tables["order_reviews"]).values()) > 1
    categories = {product["product_category_name"] for product in tables["products"]}
    translated = {entry["product_category_name"] for entry in tables["category_translation"]}
    assert "" in categories
    assert categories - translated - {""}
    assert max(Counter(p["order_id"] for p in tables["order_payments"]).values()) > 2
    prefixes = Counter(r["geolocation_zip_code_prefix"] for r in tables["geolocation"])
    assert {len(prefix) for prefix in prefixes} == {5}
    assert any(prefix.startswith("0") for prefix in prefixes)
    assert prefixes.most_common(1)[0][1] > 10
    addresses = defaultdict(set)
    for customer in tables["customers"]:
        addresses[customer["customer_unique_id"]].add(customer["customer_zip_code_prefix"])
    assert max(len(places) for places in addresses.values()) > 1


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
