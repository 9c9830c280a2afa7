"""The independent olist computation against small files worked out by hand: gold."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.oracle.handmade import by_key, deliver
from tests.oracle.olist import KEYS, Oracle, compute

JULY = "2018-07-01 10:00:00"


@pytest.fixture
def shop(tmp_path: Path) -> Oracle:
    """Five orders: late, on time, shipped, canceled (the newest), and one without items."""
    return compute(
        [
            deliver(
                tmp_path,
                customers=[
                    ("c1", "u1", "", "", "SP"),
                    ("c2", "u1", "", "", "SP"),
                    ("c3", "u2", "", "", "RJ"),
                    ("c4", "u2", "", "", "RJ"),
                    ("c5", "u3", "", "", "SP"),
                ],
                orders=[
                    ("o1", "c1", "delivered", "2017-01-10 10:00:00", "2017-01-10 11:00:00",
                     "2017-01-11 11:00:00", "2017-01-20 23:00:00", "2017-01-20 00:00:00"),
                    ("o2", "c2", "delivered", "2017-01-31 23:59:59", "",
                     "2017-02-21 00:00:00", "2017-02-20 00:00:00", "2017-02-10 00:00:00"),
                    ("o3", "c3", "shipped", "2018-01-05 00:00:00"),
                    ("o4", "c4", "canceled", "2018-07-04 00:00:00"),
                    ("o5", "c5", "delivered", "2017-01-15 00:00:00", "2017-01-15 10:00:00",
                     "2017-01-15 16:00:00", "2017-01-16 16:00:00", "2017-02-01 00:00:00"),
                ],
                items=[
                    ("o1", "1", "p1", "s1", "", "10.00", "1.00"),
                    ("o1", "2", "p2", "s2", "", "30.00", "2.00"),
                    ("o2", "1", "p1", "s1", "", "20.00", "3.00"),
                    ("o2", "2", "p1", "s1", "", "20.00", "0.00"),
                    ("o3", "1", "p9", "s1", "", "90.00", "0.00"),
                    ("o4", "1", "p1", "s1", "", "1000.00", "0.00"),
                ],
                reviews=[
                    ("r1", "o1", "5"), ("r2", "o1", "2"), ("r1", "o2", "1"), ("r3", "o5", "5"),
                ],
                payments=[
                    ("o1", "1", "voucher", "1", "1"), ("o1", "2", "credit_card", "3", "1"),
                    ("o2", "1", "credit_card", "4", "1"), ("o2", "2", "voucher", "1", "1"),
                    ("o4", "1", "boleto", "9", "1"),
                ],
                products=[("p1", "brinquedos"), ("p2", "")],
                sellers=[("s1", "", "", "MG")],
                translation=[("brinquedos", "toys")],
            )
        ]
    )  # fmt: skip


def test_scores_are_means_over_orders_of_their_means(shop: Oracle) -> None:
    assert by_key(shop.gold["product_performance"], "product_category") == {
        "toys": {
            "product_category": "toys",
            "products": 1,
            "items": 3,
            "orders": 2,
            "revenue": Decimal("50.00"),
            "avg_price": pytest.approx(50 / 3),
            "avg_review_score": 2.25,
            "revenue_rank": 2,
        },
        "unknown": {
            "product_category": "unknown",
            "products": 2,
            "items": 2,
            "orders": 2,
            "revenue": Decimal("120.00"),
            "avg_price": 60.0,
            "avg_review_score": 3.5,
            "revenue_rank": 1,
        },
    }
    assert by_key(shop.gold["seller_performance"], "seller_id") == {
        "s1": {
            "seller_id": "s1",
            "seller_state": "MG",
            "orders": 3,
            "items": 4,
            "revenue": Decimal("140.00"),
            "avg_review_score": 2.25,
            "on_time_rate": 0.5,
            "revenue_rank": 1,
        },
        "s2": {
            "seller_id": "s2",
            "seller_state": None,
            "orders": 1,
            "items": 1,
            "revenue": Decimal("30.00"),
            "avg_review_score": 3.5,
            "on_time_rate": 1.0,
            "revenue_rank": 2,
        },
    }


def test_revenue_by_day_and_month_with_growth_over_the_year_before(shop: Oracle) -> None:
    days = by_key(shop.gold["daily_revenue"], "order_date")
    assert sorted(days) == [date(2017, 1, 10), date(2017, 1, 31), date(2018, 1, 5)]
    assert days[date(2017, 1, 10)] == {
        "order_date": date(2017, 1, 10),
        "orders": 1,
        "items": 2,
        "customers": 1,
        "revenue": Decimal("40.00"),
        "freight": Decimal("3.00"),
        "avg_order_value": 40.0,
    }
    before, after = date(2017, 1, 1), date(2018, 1, 1)
    assert by_key(shop.gold["monthly_revenue"], "order_month") == {
        before: {
            "order_month": before,
            "orders": 2,
            "revenue": Decimal("80.00"),
            "revenue_prev_year": None,
            "yoy_growth": None,
        },
        after: {
            "order_month": after,
            "orders": 1,
            "revenue": Decimal("90.00"),
            "revenue_prev_year": Decimal("80.00"),
            "yoy_growth": 0.125,
        },
    }


def test_delivery_counts_orders_without_items_and_negative_spans(shop: Oracle) -> None:
    (row,) = shop.gold["delivery_sla"].to_pylist()
    assert row == {
        "customer_state": "SP",
        "order_month": date(2017, 1, 1),
        "delivered_orders": 3,
        "on_time_orders": 2,
        "on_time_rate": pytest.approx(2 / 3),
        "avg_delivery_days": pytest.approx(31 / 3),
        "p90_delivery_days": pytest.approx(18.0),
        "avg_handling_days": 0.625,
        "avg_carrier_days": pytest.approx((9.5 - 1 + 1) / 3),
    }


def test_customers_by_their_valid_orders_with_items(shop: Oracle) -> None:
    assert by_key(shop.gold["churn_features"], "customer_unique_id") == {
        "u1": {
            "customer_unique_id": "u1",
            "recency_days": 519,
            "orders": 2,
            "revenue": Decimal("80.00"),
            "avg_review_score": 2.25,
            "late_orders": 1,
            "avg_delivery_days": 15.0,
            "avg_installments": 2.25,
            "preferred_payment_type": "credit_card",
            "is_churned": True,
        },
        # 180 days before the newest order, canceled as it is: not yet churned.
        "u2": {
            "customer_unique_id": "u2",
            "recency_days": 180,
            "orders": 1,
            "revenue": Decimal("90.00"),
            "avg_review_score": None,
            "late_orders": 0,
            "avg_delivery_days": None,
            "avg_installments": None,
            "preferred_payment_type": None,
            "is_churned": False,
        },
    }
    assert by_key(shop.gold["customer_lifetime_value"], "customer_unique_id")["u1"] == {
        "customer_unique_id": "u1",
        "orders": 2,
        "revenue": Decimal("80.00"),
        "avg_order_value": 40.0,
        "first_order_date": date(2017, 1, 10),
        "last_order_date": date(2017, 1, 31),
        "active_months": 1,
        "purchase_frequency": 2.0,
    }


def test_segments_break_ties_by_customer_and_fill_the_first_fifths(tmp_path: Path) -> None:
    # Eleven customers, fifths of 3, 2, 2, 2, 2: each a day older than the one before, but d as
    # old as c, with the end of the first fifth between them.
    days = {key: age for age, key in enumerate("abcdefghijk")} | {"d": 2}
    repeats = {"c": 2, "f": 2, "e": 3, "h": 3}
    orders, items, customers = [], [], []
    for key, age in days.items():
        bought = datetime(2018, 7, 31) - timedelta(days=age)
        for number in range(repeats.get(key, 1)):
            order = f"{key}{number}"
            customers.append((order, key))
            orders.append((order, order, "shipped", f"{bought:%Y-%m-%d %H:%M:%S}"))
            items.append((order, "1", "p", "s", "", "100" if key == "a" else "1", "0"))

    oracle = compute([deliver(tmp_path, orders=orders, items=items, customers=customers)])

    rows = by_key(oracle.gold["customer_segments"], "customer_unique_id")
    scores = {key: (row["r_score"], row["f_score"], row["m_score"]) for key, row in rows.items()}
    assert scores == {
        "a": (5, 1, 5), "b": (5, 1, 1), "c": (5, 4, 3), "d": (4, 1, 1), "e": (4, 5, 4),
        "f": (3, 4, 4), "g": (3, 2, 1), "h": (2, 5, 5), "i": (2, 2, 2), "j": (1, 3, 2),
        "k": (1, 3, 3),
    }  # fmt: skip
    assert {key: row["segment"] for key, row in rows.items()} == {
        "a": "recent", "b": "recent", "c": "champions", "d": "recent", "e": "champions",
        "f": "loyal", "g": "regular", "h": "at_risk", "i": "hibernating", "j": "hibernating",
        "k": "hibernating",
    }  # fmt: skip
    assert rows["k"]["recency_days"] == 10


def test_what_is_not_known_is_left_out_or_a_group_of_its_own(tmp_path: Path) -> None:
    delivered = "2018-07-03 10:00:00"
    files = deliver(
        tmp_path,
        customers=[("known", "u", "", "", "SP"), ("stateless", "", "", "", "")],
        orders=[
            ("o1", "known", "delivered", JULY, "", "", delivered),  # no estimate
            ("o2", "stateless", "delivered", JULY, "", "", delivered, "2018-07-02 00:00:00"),
            ("o3", "known", "", JULY),  # no status
        ],
        items=[
            ("o1", "1", "", "s", "", "1", "0"),
            ("o2", "1", "p", "", "", "2", "0"),
            ("o3", "1", "p", "s", "", "4", "0"),
        ],
    )

    gold = compute([files]).gold

    sla = by_key(gold["delivery_sla"], "customer_state")
    assert sla.keys() == {"SP", "unknown"}
    assert [sla[state]["on_time_rate"] for state in ("SP", "unknown")] == [0.0, 0.0]
    assert [sla[state]["avg_handling_days"] for state in ("SP", "unknown")] == [None, None]
    (day,) = gold["daily_revenue"].to_pylist()
    assert (day["orders"], day["customers"], day["revenue"]) == (2, 1, Decimal("3.00"))
    (category,) = gold["product_performance"].to_pylist()
    assert (category["products"], category["items"], category["avg_review_score"]) == (1, 2, None)
    (seller,) = gold["seller_performance"].to_pylist()
    assert (seller["seller_id"], seller["revenue"]) == ("s", Decimal("1.00"))
    (customer,) = gold["churn_features"].to_pylist()
    assert (customer["customer_unique_id"], customer["late_orders"]) == ("u", 0)


def test_every_table_has_a_key_among_its_columns(shop: Oracle) -> None:
    tables = shop.silver | shop.gold
    assert KEYS.keys() == tables.keys()
    for name, table in tables.items():
        assert set(KEYS[name]) <= set(table.column_names)
