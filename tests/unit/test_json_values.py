"""Values as JSON has them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from flows.json_values import plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1E-10"), "0.0000000001"), (1.5, 1.5), (float("nan"), "nan"),
        (float("-inf"), "-inf"), (date(1, 1, 1), "0001-01-01"), (b"\xff", "/w=="), (None, None),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59Z"),
        ([{"a": Decimal("0.10")}], [{"a": "0.10"}]), (True, True), (2**63, 2**63),
    ],
)  # fmt: skip
def test_every_value_has_one_form_in_json(value: object, expected: object) -> None:
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)
