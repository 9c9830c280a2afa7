"""Arithmetic of watermarks: from where an incremental extraction reads again, and how far it may count.

No extraction counts as having come further than the instant at which it began. A row dated
later would hide every row written until then; so would the last row of an extraction that takes longer than
the overlap.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Self

from pyspark.sql import Column
from pyspark.sql import functions as F

from tasks.domain.durations import duration

WIDE = Context(prec=100, rounding=ROUND_FLOOR)
"""Python's own 28 digits round a number of 38, maybe up."""
FLOATS = ("float", "double")
NUMBERS = ("tinyint", "smallint", "int", "bigint", "decimal", *FLOATS)
INSTANTS = ("timestamp", "timestamp_ntz", "date", "string")
_DATED = r"^\d{4}-\d{2}-\d{2}"
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}([ T])\d{2}:\d{2}:\d{2}")


@dataclass(frozen=True)
class Overlap:
    """What is read again below a watermark: a duration, or a number."""

    duration: timedelta | None
    number: Decimal | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `10 minutes` or `500`.

        Raises:
            ValueError: It is neither.
        """
        with suppress(ValueError):
            return cls(duration(text), None)
        try:
            number = Decimal(text.strip())
        except InvalidOperation:
            number = Decimal(-1)
        if not number.is_finite() or number < 0:
            raise ValueError(f"{text!r} is neither a number nor like '10 minutes'")
        return cls(None, number)

    def below(self, watermark: str, type_name: str) -> str:
        """The value from which on rows are read again, as text of the watermark's type.

        That value itself is read too: rows that share it may be committed at different times.

        Args:
            watermark: The highest value taken in.
            type_name: Spark's name of the column's type.

        Raises:
            ValueError: The overlap cannot be taken from a value of this type.
        """
        if self.number == 0:
            return watermark
        kind = _kind(type_name)
        if kind in NUMBERS and self.number is not None:
            return format(WIDE.subtract(Decimal(watermark), self.number), "f")
        if kind in INSTANTS and self.duration is not None:
            return _earlier(watermark, self.duration)
        said = self.number if self.duration is None else self.duration
        raise ValueError(f"an overlap of {said} does not fit values of type {type_name}")


def is_ahead(watermark: str, type_name: str, started: datetime) -> bool:
    """Whether a watermark is an instant after the one at which an extraction began, or no finite number.

    An instant without a time zone counts as UTC.
    """
    if _kind(type_name) in FLOATS:
        return not math.isfinite(float(watermark))
    if _kind(type_name) not in INSTANTS or not re.match(_DATED, watermark):
        return False
    try:
        instant = datetime.fromisoformat(watermark)
    except ValueError:
        return False
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)) > started


def ahead(watermark: Column, type_name: str, started: datetime) -> Column:
    """`is_ahead` of each row; never null."""
    if _kind(type_name) in FLOATS:
        return F.coalesce(F.isnan(watermark) | (F.abs(watermark) == float("inf")), F.lit(False))
    if _kind(type_name) not in INSTANTS:
        return F.lit(False)
    later = watermark.try_cast("timestamp") > F.lit(started.isoformat()).cast("timestamp")
    if _kind(type_name) == "string":
        later = watermark.rlike(_DATED) & later
    return F.coalesce(later, F.lit(False))


def is_dated(text: str) -> bool:
    """Whether a text is a date or an instant."""
    with suppress(ValueError):
        return bool(re.match(_DATED, text)) and datetime.fromisoformat(text) is not None
    return False


def dated(text: Column) -> Column:
    """`is_dated` of each row; never null."""
    return F.coalesce(text.rlike(_DATED) & text.try_cast("timestamp").isNotNull(), F.lit(False))


def _kind(type_name: str) -> str:
    return type_name.split("(", maxsplit=1)[0]


def _earlier(instant: str, duration: timedelta) -> str:
    """An earlier instant in the same notation, in whole seconds, or days for a date; from year 1 on."""
    matched = _INSTANT.match(instant)
    if matched:
        moved = datetime.fromisoformat(matched[0])
        moved -= min(duration, moved - datetime.min)
        return moved.isoformat(sep=matched[1])
    day = date.fromisoformat(instant)
    return (day - min(_whole_days(duration), day - date.min)).isoformat()


def _whole_days(duration: timedelta) -> timedelta:
    return timedelta(days=-(-duration // timedelta(days=1)))
