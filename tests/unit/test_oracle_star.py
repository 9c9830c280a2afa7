"""The independent olist computation against small files worked out by hand: star and executive figures."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from hashlib import md5

import pyarrow as pa
import pytest

from tests.oracle.handmade import by_key, deliver
from tests.oracle.olist import Oracle, compute
from tests.oracle.star import assert_star_equals_marts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    """A customer who moved, one who has not arrived, a product and a seller that only an item names."""
    return compute(
        [
            deliver(
                tmp_path_factory.mktemp("shop"),
                customers=[
                    ("c1", "u1", "01000", "sao paulo", "SP"),
                    ("c2", "u1", "20000", "rio de janeiro", "RJ"),
                    ("c3", "u2", "01000", "sao paulo", "SP"),
                    ("c4", "u2", "01000", "sao paulo", "SP"),
                ],
                orders=[
                    ("o1", "c1", "delivered", "2017-01-10 10:00:00"),
                    ("o2", "c2", "shipped", "2017-03-05 10:00:00"),
                    ("o3", "c3", "delivered", "2017-01-20 10:00:00"),
                    ("o4", "c4", "canceled", "2017-05-02 10:00:00"),
                    ("o5", "c9", "delivered", "2017-02-01 10:00:00"),
                ],
                items=[
                    ("o1", "1", "p1", "s1", "", "10.00", "1.00"),
                    ("o1", "2", "p2", "s9", "", "30.00", "2.00"),
                    ("o2", "1", "p1", "s1", "", "20.00", "3.00"),
                    ("o3", "1", "", "", "", "5.00", "0.00"),
                    ("o4", "1", "p1", "s1", "", "1000.00", "0.00"),
                    ("o5", "1", "p1", "s1", "", "7.00", "0.00"),
                ],
                products=[("p1", "brinquedos")],
                sellers=[("s1", "", "", "MG")],
                translation=[("brinquedos", "toys")],
            )
        ]
    )


def key(*parts: str) -> str:
    return md5("|".join(parts).encode(), usedforsecurity=False).hexdigest()


def test_items_of_valid_orders_have_a_member_of_each_dimension(shop: Oracle) -> None:
    home = key("u1", "1484042400000000")  # 2017-01-10 10:00:00
    moved = key("u1", "1488708000000000")
    other = key("u2", "1484906400000000")
    rows = by_key(shop.gold["fct_order_items"], "order_id", "order_item_id")
    keys = ("date_key", "customer_key", "product_key", "seller_key")
    assert {item: tuple(row[k] for k in keys) for item, row in rows.items()} == {
        ("o1", 1): (20170110, home, key("p1"), key("s1")),
        ("o1", 2): (20170110, home, key("p2"), key("s9")),
        ("o2", 1): (20170305, moved, key("p1"), key("s1")),
        ("o3", 1): (20170120, other, "unknown", "unknown"),
        ("o5", 1): (20170201, "unknown", key("p1"), key("s1")),
    }
    customers = by_key(shop.gold["dim_customer"], "customer_key")
    assert {k: row["customer_state"] for k, row in customers.items()} == {
        home: "SP", moved: "RJ", other: "SP", "unknown": "unknown",
    }  # fmt: skip
    products = by_key(shop.gold["dim_product"], "product_key")
    assert {k: (row["product_category"], row["is_inferred"]) for k, row in products.items()} == {
        key("p1"): ("toys", False), key("p2"): ("unknown", True), "unknown": ("unknown", False),
    }  # fmt: skip
    sellers = by_key(shop.gold["dim_seller"], "seller_key")
    assert {k: (row["seller_state"], row["is_inferred"]) for k, row in sellers.items()} == {
        key("s1"): ("MG", False), key("s9"): ("unknown", True), "unknown": ("unknown", False),
    }  # fmt: skip


def test_the_calendar_has_every_day_up_to_the_newest_order_of_any_status(shop: Oracle) -> None:
    days = by_key(shop.gold["dim_date"], "date_key")
    assert (len(days), min(days), max(days)) == (22 + 28 + 31 + 30 + 2, 20170110, 20170502)
    assert days[20170305] == {
        "date_key": 20170305,
        "calendar_date": date(2017, 3, 5),
        "year": 2017,
        "quarter": 1,
        "month": 3,
        "month_name": "March",
        "month_start": date(2017, 3, 1),
        "iso_year": 2017,
        "iso_week": 9,
        "day_of_month": 5,
        "day_of_week": 7,
        "day_name": "Sunday",
        "is_weekend": True,
    }


def test_the_star_has_the_sums_of_the_marts(shop: Oracle) -> None:
    assert_star_equals_marts(shop.gold)


@pytest.mark.parametrize("table", ["dim_date", "dim_customer", "dim_product", "dim_seller"])
def test_a_missing_member_is_found(shop: Oracle, table: str) -> None:
    fewer = [row for row in shop.gold[table].to_pylist() if row[f"{table[4:]}_key"] != 20170110]
    fewer = [row for row in fewer if row[f"{table[4:]}_key"] != "unknown"]
    broken = {table: pa.Table.from_pylist(fewer, shop.gold[table].schema)}
    with pytest.raises(AssertionError, match="5 items became"):
        assert_star_equals_marts(shop.gold | broken)


@pytest.mark.parametrize(
    ("column", "value", "mart"),
    [
        ("price", Decimal("10.01"), "daily_revenue"),
        ("customer_key", key("u2", "1484906400000000"), "daily_revenue"),
        ("product_key", key("p2"), "product_performance"),
        ("seller_key", key("s9"), "seller_performance"),
    ],
)
def test_a_wrong_item_is_found(shop: Oracle, column: str, value: object, mart: str) -> None:
    rows = shop.gold["fct_order_items"].sort_by([("order_id", "ascending")]).to_pylist()
    for row in rows:
        if row["order_id"] == "o5":
            row[column] = value
    items = pa.Table.from_pylist(rows, shop.gold["fct_order_items"].schema)
    with pytest.raises(AssertionError, match=f"^{mart} and the star differ"):
        assert_star_equals_marts(shop.gold | {"fct_order_items": items})


def test_revenue_so_far_in_month_and_year(shop: Oracle) -> None:
    days = by_key(shop.gold["revenue_to_date"], "order_date")
    assert len(days) == shop.gold["dim_date"].num_rows
    wanted = {
        date(2017, 1, 10): ("40.00", "40.00", "40.00"),
        date(2017, 1, 31): ("0.00", "45.00", "45.00"),
        date(2017, 2, 28): ("0.00", "7.00", "52.00"),
        date(2017, 5, 2): ("0.00", "0.00", "72.00"),
    }
    names = ("revenue", "month_to_date", "year_to_date")
    assert {d: tuple(str(days[d][n]) for n in names) for d in wanted} == wanted


def test_customers_of_a_window_that_holds_its_last_day(shop: Oracle) -> None:
    days = by_key(shop.gold["active_customers"], "order_date")
    assert len(days) == shop.gold["dim_date"].num_rows
    wanted = {
        date(2017, 1, 10): (1, 1, 1, 1),
        date(2017, 1, 31): (0, 2, 2, 2),
        date(2017, 2, 1): (0, 0, 2, 2),
        date(2017, 2, 8): (0, 0, 2, 2),
        date(2017, 2, 9): (0, 0, 1, 2),
        date(2017, 3, 5): (1, 1, 1, 2),
        date(2017, 4, 18): (0, 0, 0, 2),
        date(2017, 4, 19): (0, 0, 0, 2),
        date(2017, 4, 20): (0, 0, 0, 1),
    }
    names = ("active_day", "active_month_to_date", "active_30_days", "active_90_days")
    assert {d: tuple(days[d][n] for n in names) for d in wanted} == wanted


def test_products_of_a_month_by_revenue(shop: Oracle) -> None:
    rows = by_key(shop.gold["top_products"], "order_month", "revenue_rank")
    assert {place: (row["product_id"], row["revenue"]) for place, row in rows.items()} == {
        (date(2017, 1, 1), 1): ("p2", Decimal("30.00")),
        (date(2017, 1, 1), 2): ("p1", Decimal("10.00")),
        (date(2017, 2, 1), 1): ("p1", Decimal("7.00")),
        (date(2017, 3, 1), 1): ("p1", Decimal("20.00")),
    }


def test_a_cohort_has_a_row_for_each_month_up_to_the_newest_order(shop: Oracle) -> None:
    rows = by_key(shop.gold["customer_cohorts"], "cohort_month", "month_number")
    january = date(2017, 1, 1)
    assert {place: (row["active"], row["retention_rate"]) for place, row in rows.items()} == {
        (january, 0): (2, 1.0),
        (january, 1): (0, 0.0),
        (january, 2): (1, 0.5),
        (january, 3): (0, 0.0),
        (january, 4): (0, 0.0),
    }
    assert {row["cohort_size"] for row in rows.values()} == {2}
