"""The independent olist computation against small files worked out by hand: silver, quarantine."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.handmade import HEADERS, by_key, deliver
from tests.oracle.olist import Oracle, compute

JULY = "2018-07-01 10:00:00"


def quarantined(oracle: Oracle, table: str) -> list[tuple[int, str]]:
    return [(row["record"], row["rule"]) for row in oracle.quarantine[table].to_pylist()]


def test_the_later_delivery_wins_and_known_content_does_not_count_again(tmp_path: Path) -> None:
    first = deliver(tmp_path / "1", orders=[("a", "c", "created", JULY)])
    second = deliver(
        tmp_path / "2",
        orders=[("a", "c", "shipped", JULY), ("a", "c", "canceled", JULY), ("b", "c", "", "")],
    )
    again = deliver(tmp_path / "3", "_renamed", orders=[("a", "c", "created", JULY)])
    broken = deliver(tmp_path / "4", orders=[("a", "c", "invoiced", "yesterday")])

    oracle = compute([first, second, again, broken])

    assert oracle.silver["orders"].column("order_status").to_pylist() == ["canceled"]
    assert oracle.quarantine["orders"].to_pylist() == [
        {"source_file": second[0].name, "record": 3, "rule": "required_missing"},
        {"source_file": broken[0].name, "record": 1, "rule": "not_parseable"},
    ]


def test_files_of_one_delivery_are_taken_in_the_order_of_their_names(tmp_path: Path) -> None:
    last = deliver(tmp_path / "a", "_2", orders=[("a", "c", "shipped", JULY)])
    first = deliver(tmp_path / "b", "_1", orders=[("a", "c", "created", JULY)])

    oracle = compute([last + first])

    assert oracle.silver["orders"].column("order_status").to_pylist() == ["shipped"]


def test_a_row_is_quarantined_under_the_first_rule_that_it_breaks(tmp_path: Path) -> None:
    item = ("p", "s", "")
    files = deliver(
        tmp_path,
        orders=[
            ("ok", "c", "delivered", "2017-01-01 23:00:00", "", "", "2018-01-01 01:00:00"),
            ("slow", "c", "delivered", "2017-01-01 23:00:00", "", "", "2018-01-02 00:00:00"),
            (" ", "c", "delivered", "never"),
            ("odd", "c", "delivered", "2017-02-29 10:00:00"),
        ],
        items=[
            ("ok", "\t", *item, "x", "1"),
            ("ok", "1", *item, "x", ""),
            ("ok", "1.5", *item, "1", "1"),
            ("none", "1", *item, "", "-1"),
            ("none", "1", *item, "1", "-0.01"),
            ("none", "1", *item, "1", "1"),
            ("slow", "1", *item, "1", "1"),
            ("ok", "1", *item, "1.005", "-0.004"),
        ],
        payments=[("ok", "1", "boleto", "1", ""), ("ok", "2", "boleto", "", "0")],
        reviews=[
            ("r", "ok", "5", "two\nlines", 'a "quoted"\r\nbreak'),
            ("r", "none", "6"),
            ("r", "none", "5"),
            ("r", "", "9"),
            ("r", "none", ""),
        ],
        geolocation=[("01000", "", "1"), ("01000", "1", "NaN"), ("01000", "-2e1", "1")],
    )

    oracle = compute([files])

    assert quarantined(oracle, "orders") == [
        (2, "delivery_too_long"),
        (3, "key_missing"),
        (4, "not_parseable"),
    ]
    assert quarantined(oracle, "order_items") == [
        (1, "key_missing"),
        (2, "not_parseable"),
        (3, "not_parseable"),
        (4, "required_missing"),
        (5, "negative_amount"),
        (6, "reference_missing"),
        (7, "reference_missing"),
    ]
    assert quarantined(oracle, "order_payments") == [(1, "required_missing")]
    assert quarantined(oracle, "order_reviews") == [
        (2, "score_out_of_range"),
        (3, "reference_missing"),
        (4, "key_missing"),
        (5, "required_missing"),
    ]
    assert quarantined(oracle, "geolocation") == [(1, "required_missing"), (2, "not_parseable")]
    assert by_key(oracle.silver["orders"], "order_id")["ok"]["delivery_time_days"] == 365
    (kept,) = oracle.silver["order_items"].to_pylist()
    assert (kept["price"], kept["freight_value"]) == (Decimal("1.01"), Decimal("0.00"))
    assert kept["product_category"] == "unknown"
    (review,) = oracle.silver["order_reviews"].to_pylist()
    assert review["review_comment_message"] == 'a "quoted"\r\nbreak'
    assert review["review_creation_date"] is None
    assert oracle.silver["geolocation"].column("latitude").to_pylist() == [-20.0]


def test_rows_wait_for_what_they_refer_to(tmp_path: Path) -> None:
    items = deliver(tmp_path / "1", items=[("o", "1", "p", "s", "", "5", "1")])
    orders = deliver(tmp_path / "2", orders=[("o", "c", "shipped", JULY)])
    rest = deliver(
        tmp_path / "3",
        customers=[("c", "u", "01000", "sao paulo", "SP")],
        products=[("p", "brinquedos"), ("q", "pecas"), ("r", "")],
        sellers=[("s", "02000", "rio", "RJ")],
        translation=[("brinquedos", "toys")],
    )

    waiting, published, complete = (
        compute(deliveries) for deliveries in ([items], [items, orders], [items, orders, rest])
    )

    assert quarantined(waiting, "order_items") == [(1, "reference_missing")]
    assert waiting.gold["daily_revenue"].num_rows == 0
    assert quarantined(published, "order_items") == []
    (item,) = published.silver["order_items"].to_pylist()
    assert (item["product_category"], item["seller_state"]) == ("unknown", None)
    (order,) = published.silver["orders"].to_pylist()
    assert (order["customer_unique_id"], order["customer_state"]) == (None, None)
    assert published.gold["customer_lifetime_value"].num_rows == 0
    assert published.gold["daily_revenue"].column("customers").to_pylist() == [0]
    (item,) = complete.silver["order_items"].to_pylist()
    assert (item["product_category"], item["seller_state"]) == ("toys", "RJ")
    assert complete.gold["customer_lifetime_value"].num_rows == 1
    categories = by_key(complete.silver["products"], "product_id")
    assert [categories[key]["product_category"] for key in "pqr"] == ["toys", "pecas", "unknown"]


def test_addresses_that_return_are_spans_of_their_own(tmp_path: Path) -> None:
    here, there = ("01000", "sao paulo", "SP"), ("02000", "rio", "RJ")
    customers = deliver(
        tmp_path / "0",
        customers=[("here", "u", *here), ("there", "u", *there), ("nobody", "", *here)],
    )
    outer = deliver(
        tmp_path / "1",
        orders=[
            ("o3", "here", "canceled", "2018-03-01 00:00:00"),
            ("o1", "here", "delivered", "2018-01-01 00:00:00"),
            ("o9", "nobody", "delivered", "2018-01-01 00:00:00"),
            ("o8", "stranger", "delivered", "2018-01-01 00:00:00"),
        ],
    )
    late = deliver(tmp_path / "2", orders=[("o2", "there", "created", "2018-02-01 00:00:00")])
    tied = deliver(tmp_path / "3", orders=[("o4", "here", "created", "2018-02-01 00:00:00")])

    def spans(*deliveries: list[Path]) -> list[tuple[Any, ...]]:
        rows = compute(deliveries).silver["customer_addresses"].sort_by("valid_from").to_pylist()
        return [
            (row["customer_city"], row["valid_from"], row["valid_to"], row["is_current"])
            for row in rows
        ]

    january, february, march = (datetime(2018, month, 1) for month in (1, 2, 3))
    assert spans(customers, outer) == [("sao paulo", january, None, True)]
    assert spans(outer, late, customers) == [
        ("sao paulo", january, february, False),
        ("rio", february, march, False),
        ("sao paulo", march, None, True),
    ]
    # Of two orders at one instant the one with the last order_id counts, whichever came last.
    assert spans(tied, late, outer, customers) == [("sao paulo", january, None, True)]


def test_a_geolocation_file_replaces_the_prefixes_that_it_contains(tmp_path: Path) -> None:
    first = deliver(
        tmp_path / "1",
        geolocation=[
            ("01000", "1", "10", "b", "SP"),
            ("01000", "2", "20", "a", "SP"),
            ("01000", "6", "60", "", "RJ"),
            ("02000", "1", "1", "old", "MG"),
            ("03000", "1", "1", "kept", "MG"),
        ],
    )
    second = deliver(
        tmp_path / "2",
        geolocation=[("02000", "5", "5", "new", "MG"), ("03000", "x", "1", "bad", "MG")],
    )

    rows = by_key(compute([first, second]).silver["geolocation"], "zip_code_prefix")

    assert rows == {
        "01000": {
            "zip_code_prefix": "01000",
            "latitude": 3.0,
            "longitude": 30.0,
            "city": "a",
            "state": "SP",
            "samples": 3,
        },
        "02000": rows["02000"] | {"latitude": 5.0, "city": "new", "samples": 1},
        "03000": rows["03000"] | {"latitude": 1.0, "city": "kept", "samples": 1},
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"header \[\] lacks"),
        ("seller_id,seller_city,seller_state\n", r"lacks \['seller_zip_code_prefix'\]"),
        (HEADERS["sellers"] + '\ns,1,"a\nb",SP\n\ns,1\n', "record 2 has 2 fields, the header 4"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "olist_sellers_dataset.csv"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(ValueError, match=message):
        compute([[path]])


def test_a_file_of_no_known_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="matches no olist source"):
        compute([[tmp_path / "orders.csv"]])
