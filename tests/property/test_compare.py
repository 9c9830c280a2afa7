"""The comparison finds every kind of difference, and the span rules every kind of bad span."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.property.compare import assert_same, wrong_keys
from tests.property.model import Row
from tests.property.spans import bad_spans

KEY = ["account_id"]


def day(number: int) -> datetime:
    return datetime(2024, 1, number)


def test_equal_rows_differ_in_order_zone_and_extra_columns_only() -> None:
    actual: list[Row] = [
        {"account_id": "b", "at": day(2).replace(tzinfo=UTC), "amount": Decimal("1.00"), "_x": 1},
        {"account_id": "a", "at": None, "amount": Decimal("2.00"), "_x": 2},
    ]
    expected: list[Row] = [
        {"account_id": "a", "at": None, "amount": Decimal("2.00")},
        {"account_id": "b", "at": day(2), "amount": Decimal("1.00")},
    ]

    assert wrong_keys(actual, expected, KEY) == {}


@pytest.mark.parametrize(
    ("actual", "text"),
    [
        ([], "missing"),
        ([{"account_id": "a", "plan": "free"}] * 2, "there 2 times"),
        ([{"account_id": "a", "plan": None}], "plan is None, expected 'free'"),
        ([{"account_id": "a"}], "no column plan"),
    ],
)
def test_a_wrong_key_says_what_is_wrong(actual: list[Row], text: str) -> None:
    expected = [{"account_id": "a", "plan": "free"}]

    assert wrong_keys(actual, expected, KEY) == {("a",): text}


def test_the_report_counts_all_and_shows_the_first() -> None:
    extra = [{"account_id": f"a{number}"} for number in range(9)]

    with pytest.raises(AssertionError, match=r"silver.x: wrong keys: 9\n  a0: not expected\n  a1"):
        assert_same(extra, [], KEY, name="silver.x")


def span(start: int, end: int | None, plan: str = "free", **other: Any) -> Row:
    row = {"account_id": "a", "plan": plan, "seats": None}
    instants = {"valid_from": day(start), "valid_to": day(end) if end else None}
    return row | instants | {"is_current": end is None} | other


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        ([span(1, 5), span(5, None, "pro")], ""),
        ([span(1, 7), span(9, None)], ""),
        ([span(1, 5), span(5, None)], "neighbours at 2024-01-05 00:00:00 have equal values"),
        ([span(1, 7), span(5, None, "pro")], "overlap"),
        ([span(1, 5), span(9, None)], "gap from 2024-01-05 00:00:00 without a delete"),
        ([span(1, 5, is_current=True)], "is_current is True"),
        ([span(5, 1), span(9, None)], "inverted"),
        ([span(1, 5), span(5, 5, "pro"), span(5, None)], "inverted"),
        ([span(1, 7)], "0 current spans of a key that exists"),
        ([span(1, None), span(5, None)], "2 current spans"),
        ([], "0 current spans of a key that exists"),
        ([span(1, 7), span(8, None)], "starts at 2024-01-08 00:00:00, where there is no"),
    ],
)
def test_spans_are_judged_by_the_rules_of_histories(rows: list[Row], broken: str) -> None:
    """Account `a` has updates on the days 1, 5 and 9, and a delete on day 7."""
    deleted = {day(1): False, day(5): False, day(7): True, day(9): False}

    found = bad_spans(rows, {("a",): deleted})

    assert found.get(("a",), "").startswith(broken)
    assert bool(found) is bool(broken)


def test_a_deleted_key_has_no_current_span() -> None:
    deleted = {("a",): {day(1): False, day(7): True}}

    assert bad_spans([span(1, 7)], deleted) == {}
    assert (
        "1 current spans of a key that does not exist"
        in bad_spans([span(1, None)], deleted)[("a",)]
    )
