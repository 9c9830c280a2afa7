"""Ways to change a value that several domains plant as defects or corrections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from tasks.generate.planting import Change, Row

_INSTANT = "%Y-%m-%d %H:%M:%S"


def dearer(column: str) -> tuple[str, Change]:
    """An amount that is 0.01 to 20.00 higher."""
    return column, lambda row, pick: repr((round(float(row[column]) * 100) + 1 + pick % 2000) / 100)


def another(column: str, words: Sequence[str]) -> Change:
    """Any of `words` but the present one."""

    def change(row: Row, pick: int) -> str:
        others = [word for word in words if word != row[column]]
        return others[pick % len(others)]

    return change


def one_of(values: Sequence[str]) -> Change:
    """Any of the values."""
    return lambda _, pick: values[pick % len(values)]


def empty(_row: Row, _pick: int) -> str:
    """No value."""
    return ""


def shifted(text: str, *, days: int = 0, hours: int = 0, seconds: int = 0) -> str:
    """An instant that is so much later, or earlier where the numbers are negative."""
    by = timedelta(days=days, hours=hours, seconds=seconds)
    return (datetime.strptime(text, _INSTANT) + by).strftime(_INSTANT)
