"""Text as typed values: exactly what was delivered, or nothing.

A typed value equals the delivered one. What its type cannot hold exactly is not a value of it: digits beyond
the scale of a decimal, a fraction in a whole number, a number beyond the range. Zeros at the end of a
fraction are not digits, and an exponent is but another way to write: `1.0` and `1e3` are whole numbers.
There are three exceptions, each the nature of a type or declared:

- A `decimal` column that says `rounds: half_up` takes the nearest value of its scale.
- A `double` is the nearest number of 64 bits. One that would be infinite, or become zero, is none.
- A `timestamp` has microseconds, in UTC: further digits are cut off, so that no instant moves
  into the next second.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    NullType,
    NumericType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from storage.schemas import type_of
from tasks.domain.spec import Rounding

NUMBER = (
    r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?$"  # each digit can be matched in one way only
)
FORMS = {
    "timestamp": r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}(:?\d{2})?)?$",
    "date": r"^\d{4}-\d{2}-\d{2}$",
    "int": NUMBER,
    "bigint": NUMBER,
    "decimal": NUMBER,
    "double": NUMBER,
}
"""What a text looks like; stricter than Spark's casts, which trim spaces and take a year for a timestamp."""
DIGITS = r"^[+-]?\d+$"
ZERO = r"^[+-]?[0.]+([eE].*)?$"
SCIENTIFIC = r"^[+-]?(\d*)\.?(\d*)[eE]([+-]?\d{1,4})$"
EXACT_IN_DOUBLE = 2**53
"""A whole number with an exponent comes from a floating-point number, which holds each one below this."""
WHOLE_DIGITS: Mapping[type[DataType], tuple[int, int]] = {
    ByteType: (3, 2), ShortType: (5, 4), IntegerType: (10, 9), LongType: (19, 18)
}  # fmt: skip
"""The most digits that a value of the type has, and the most with which every number is a value of it."""
LONGEST = 1_000
"""Characters of a text that is parsed: Java takes minutes for a number of a million digits."""
FIRST_YEAR, LAST_YEAR = 1, 9999
"""Of dates and instants that every reader of a table can show."""


def parsed(raw: Column, type_name: str, rounds: Rounding = Rounding.none) -> Column:
    """Text as a typed value; null where it is empty or no value of the type."""
    text = F.nullif(raw, F.lit(""))
    kind = type_name.split("(", maxsplit=1)[0]
    if kind == "string":
        return text
    text = F.when(F.length(text) <= LONGEST, text)
    if kind == "decimal":
        return _decimal(text, type_name, rounds)
    if kind in ("int", "bigint"):
        return _whole(text, type_name)
    if kind == "double":
        return _double(text)
    if kind in ("date", "timestamp"):
        value = F.when(text.rlike(FORMS[kind]), text).try_cast(type_name)
        return F.when(~beyond_years(value), value)
    return text.try_cast(type_name)


def beyond_years(value: Column) -> Column:
    """True for a date or instant that Spark holds, but not every reader of a table."""
    return F.coalesce(~F.year(value).between(FIRST_YEAR, LAST_YEAR), F.lit(False))


def unparseable(raw: Column, type_name: str, rounds: Rounding = Rounding.none) -> Column:
    """True where there is text that is not a value of the type."""
    if type_name == "string":
        return F.lit(False)
    return F.coalesce(raw != "", F.lit(False)) & parsed(raw, type_name, rounds).isNull()


def casts_exactly(kind: DataType, type_name: str) -> bool:
    """Whether Spark's cast of a value of a type gives the same value in another, and never fails."""
    wanted = type_of(type_name)
    if kind == wanted or isinstance(wanted, StringType) or isinstance(kind, NullType):
        return True
    if isinstance(kind, StringType):
        return False
    if isinstance(kind, TimestampType | TimestampNTZType):
        return isinstance(wanted, TimestampType)
    if isinstance(kind, NumericType) and not isinstance(wanted, DoubleType):
        have, want = _digits(kind, 0), _digits(wanted, 1)
        return bool(have and want and have[0] <= want[0] and have[1] <= want[1])
    return True


def _digits(kind: DataType, which: int) -> tuple[int, int] | None:
    """Digits before and after the point; None for a type that has no fixed number of them."""
    if isinstance(kind, DecimalType):
        return kind.precision - kind.scale, kind.scale
    return (WHOLE_DIGITS[type(kind)][which], 0) if type(kind) in WHOLE_DIGITS else None


def refusal(name: Column, text: Column, type_name: Column) -> Column:
    """Why a text is not a value of a column, with the text."""
    numeric = type_name.rlike(f"^({'|'.join(k for k, form in FORMS.items() if form == NUMBER)})")
    too_much = F.concat(F.lit("' does not fit a "), type_name, F.lit(" exactly"))
    is_none = F.concat(F.lit("' is not a "), type_name)
    says = F.when(numeric & text.rlike(NUMBER), too_much).otherwise(is_none)
    return F.concat(name, F.lit(": '"), text, says)


def _decimal(text: Column, type_name: str, rounds: Rounding) -> Column:
    value = text.try_cast(type_name)
    if rounds is Rounding.half_up:
        return F.when(text.rlike(NUMBER), value)
    scale = int(type_name.partition(",")[2].rstrip(") "))
    plain = rf"^[+-]?(\d+(\.\d{{0,{scale}}}0*)?|\.\d{{0,{scale}}}0*)$"
    exact = text.rlike(SCIENTIFIC) & (_places(text) <= scale)
    return F.when(text.rlike(plain), value).when(exact, value)


def _whole(text: Column, type_name: str) -> Column:
    value = text.try_cast("decimal(38,0)")
    exact = text.rlike(SCIENTIFIC) & (_places(text) <= 0)
    return (
        F.when(text.rlike(DIGITS), text.try_cast(type_name))
        .when(text.rlike(r"^[+-]?(\d+\.0*|\.0+)$"), value.try_cast(type_name))
        .when(exact & (F.abs(value) < EXACT_IN_DOUBLE), value.try_cast(type_name))
    )


def _double(text: Column) -> Column:
    value = F.when(text.rlike(NUMBER), text).try_cast("double")
    held = (F.abs(value) < F.lit(float("inf"))) & ((value != 0) | text.rlike(ZERO))
    return F.when(held, value)


def _places(text: Column) -> Column:
    """Digits after the point that a number with an exponent needs; below zero where it ends in zeros."""
    whole, fraction, exponent = (F.regexp_extract(text, SCIENTIFIC, n) for n in (1, 2, 3))
    digits = F.concat(whole, fraction)
    kept = F.rtrim(digits, F.lit("0"))
    places = F.length(fraction) - (F.length(digits) - F.length(kept)) - exponent.try_cast("int")
    return F.when(kept == "", 0).otherwise(places)
