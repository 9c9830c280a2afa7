"""Texts of a case as values of the declared types; pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

from tasks.rows.parsing import EXACT_IN_DOUBLE, FORMS

HOW_TO_WRITE: Mapping[str, str] = {
    "boolean": "true or false",
    "int": "a whole number of 32 bits",
    "bigint": "a whole number of 64 bits",
    "double": "a number, for example 0.25",
    "date": "a day, for example 2018-09-03",
    "timestamp": 'an instant in UTC, for example "2018-09-03 12:00:00"',
    "decimal": "a number with no more digits than the type has, for example 12.50",
}
"""What a value of a type looks like."""


def value_of(text: str, kind: str) -> object:
    """The value of a text, in the forms that a source's text must have.

    A timestamp may be a day alone, which is its midnight.

    Raises:
        ValueError: The text is not a value of the type; the message says how to write one.
    """
    name = kind.split("(", maxsplit=1)[0]
    try:
        return _decimal(text, kind) if name == "decimal" else _CONVERSIONS[name](text)
    except (
        ValueError,
        ArithmeticError,
    ):  # OverflowError is one: an instant outside of the calendar
        raise ValueError(f"{text!r} is not a {kind}; write {HOW_TO_WRITE[name]}") from None


def _formed(text: str, name: str) -> str:
    if not re.fullmatch(FORMS[name], text):
        raise ValueError(text)
    return text


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"


def _whole(name: str, bits: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        number = whole(_formed(text, name))
        if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
            raise ValueError(text)
        return number

    return convert


def whole(text: str) -> int:
    """The whole number that a text in the form of a number is, as `tasks.rows.parsing` takes it for one.

    Raises:
        ValueError: It has a fraction, or an exponent and more digits than a double is sure of.
    """
    number = Decimal(text)
    if number != number.to_integral_value():
        raise ValueError("has digits after its point")
    if "e" in text.lower() and abs(number) >= EXACT_IN_DOUBLE:
        raise ValueError("has an exponent, and more digits than a floating-point number is sure of")
    return int(number)


def double(text: str) -> float:
    """The nearest double to a text in the form of a number.

    Raises:
        ValueError: It would be infinite, or zero in place of another number.
    """
    number = float(text)
    if math.isinf(number):
        raise ValueError("is greater than any double")
    if number == 0 != Decimal(text):
        raise ValueError("is nearer to 0 than any other double")
    return number


def _decimal(text: str, kind: str) -> Decimal:
    precision, scale = map(int, re.findall(r"\d+", kind))
    number = Decimal(_formed(text, "decimal"))
    whole = number.scaleb(scale)
    if whole != whole.to_integral_value() or abs(whole) >= 10**precision:
        raise ValueError(text)
    return number


def _timestamp(text: str) -> datetime:
    if re.fullmatch(FORMS["date"], text):
        text = f"{text} 00:00:00"
    found = datetime.fromisoformat(_formed(text, "timestamp"))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


_CONVERSIONS: Mapping[str, Callable[[str], object]] = {
    "string": str,
    "boolean": _boolean,
    "int": _whole("int", 32),
    "bigint": _whole("bigint", 64),
    "double": lambda text: double(_formed(text, "double")),
    "date": lambda text: date.fromisoformat(_formed(text, "date")),
    "timestamp": _timestamp,
}
