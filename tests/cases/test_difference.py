from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tasks.authoring.cases.difference import differences, equal, said

DAY = date(2018, 1, 1)


def _differences(expected: list[dict[str, object]], got: list[dict[str, object]]) -> list[str]:
    return differences(expected, got, key=["day", "shop"], compared=["day", "shop", "n", "share"])


def _row(shop: str | None, n: int | None, share: float | None = 0.5) -> dict[str, object]:
    return {"day": DAY, "shop": shop, "n": n, "share": share, "not compared": object()}


def test_equal_rows_in_any_order_do_not_differ() -> None:
    assert _differences([_row("a", 1), _row(None, 2)], [_row(None, 2), _row("a", 1)]) == []


def test_each_difference_has_its_line() -> None:
    expected = [_row("a", 1), _row("b", 2), _row("c", None)]
    got = [_row("a", 1, 0.25), _row("c", 3), _row("d", 4)]
    assert _differences(expected, got) == [
        "differs     day=2018-01-01, shop='a': share expected 0.5, got 0.25",
        "missing     day=2018-01-01, shop='b': n=2, share=0.5",
        "differs     day=2018-01-01, shop='c': n expected null, got 3",
        "unexpected  day=2018-01-01, shop='d': n=4, share=0.5",
    ]


def test_a_key_that_comes_twice_is_a_difference() -> None:
    assert _differences([_row("a", 1)], [_row("a", 1), _row("a", 1)]) == [
        "not unique  day=2018-01-01, shop='a': 2 rows got"
    ]
    assert _differences([_row("a", 1), _row("a", 1)], [_row("a", 1)]) == [
        "not unique  day=2018-01-01, shop='a': 2 rows expected"
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1.0, 1.0 + 5e-10, True),
        (1.0, 1.0 + 5e-9, False),
        (1e12, 1e12 + 100, True),
        (0.0, 1e-300, False),
        (float("nan"), float("nan"), True),
        (float("nan"), 1.0, False),
        (None, 0.0, False),
        (None, None, True),
        (Decimal("1.10"), Decimal("1.1"), True),
        ("a", "A", False),
    ],
)
def test_doubles_are_equal_within_a_billionth(one: object, other: object, same: bool) -> None:
    assert equal(one, other) is same
    assert equal(other, one) is same


def test_values_are_said_as_a_case_writes_them() -> None:
    values = [None, True, "a", Decimal("1.50"), datetime(2018, 1, 1, 2, 3, 4, 5, UTC), DAY]
    assert [said(v) for v in values] == [
        "null", "true", "'a'", "1.50", "2018-01-01 02:03:04.000005", "2018-01-01",
    ]  # fmt: skip
