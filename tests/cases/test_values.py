from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from tasks.authoring.cases.values import value_of


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("007", "string", "007"),
        ("", "string", ""),
        ("True", "boolean", True),
        ("-3", "int", -3),
        ("2147483648", "bigint", 2147483648),
        ("1.0", "int", 1),
        ("1e3", "int", 1000),
        ("1e-3", "double", 0.001),
        ("10", "double", 10.0),
        ("12.5", "decimal(18,2)", Decimal("12.5")),
        ("99.99", "decimal(4,2)", Decimal("99.99")),
        ("2018-02-28", "date", date(2018, 2, 28)),
        ("2018-02-28 23:59:59.5", "timestamp", datetime(2018, 2, 28, 23, 59, 59, 500000, UTC)),
        (
            "2018-02-28T01:00:00.1234567+02:00",
            "timestamp",
            datetime(2018, 2, 27, 23, 0, 0, 123456, UTC),
        ),
        ("2018-02-28", "timestamp", datetime(2018, 2, 28, tzinfo=UTC)),
    ],
)
def test_a_text_becomes_a_value(text: str, kind: str, value: object) -> None:
    made = value_of(text, kind)
    assert (made, type(made)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("yes", "boolean"), ("1.5", "int"), ("2147483648", "int"), ("", "int"),
        ("9223372036854775808", "bigint"), ("1,5", "double"), ("nan", "double"),
        ("1e400", "double"), ("1e-400", "double"), ("9.1e+15", "bigint"),
        ("10.005", "decimal(18,2)"), ("100", "decimal(4,2)"), ("x", "decimal(4,2)"),
        ("2018-02-30", "date"), ("2018-02", "date"), ("2018-02-28 00:00:00", "date"),
        ("2018-02-28 24:00:00", "timestamp"), ("28.02.2018", "timestamp"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_value_says_how_to_write_one(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=r"is not a .*; write ") as refused:
        value_of(text, kind)
    assert str(refused.value).startswith(f"{text!r} is not a {kind}; write ")
