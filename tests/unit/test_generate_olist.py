"""The olist generator: reproducible bytes, headers, counts and proportions."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from storage.errors import StorageDeniedError
from tasks.generate.csv_writing import replacing
from tasks.generate.olist.generator import generate, row_counts
from tests.unit.olist_delivery import COLUMNS, FILE_OF, Delivery, day

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "olist_sample"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    return Delivery(generate(tmp_path_factory.mktemp("clean"), rows=3000, seed=3))


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
