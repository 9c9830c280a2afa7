"""Spans of time that a backfill works on, and which rows belong to one; pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

WHOLE = "all"
"""Unit of the one partition of a table that is restated whole."""
OFFSET = ":[0-9.]+[+-][0-9:]+$"
"""Ends an instant that is given with its distance from UTC."""


class Unit(StrEnum):
    """Length of a partition."""

    day = "day"
    week = "week"
    """Monday to Sunday, as in ISO 8601."""
    month = "month"

    def begin(self, day: dt.date) -> dt.date:
        """First day of the unit that a day falls in."""
        if self is Unit.week:
            return day - dt.timedelta(days=day.weekday())
        return day.replace(day=1) if self is Unit.month else day

    def following(self, day: dt.date) -> dt.date:
        """First day of the next unit; the calendar's last day where there is no next one."""
        try:
            if self is Unit.month:
                return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
            return self.begin(day) + dt.timedelta(days=7 if self is Unit.week else 1)
        except OverflowError:
            return dt.date.max


@dataclass(frozen=True)
class Partition:
    """A half-open span of days, or the whole table where there are none."""

    unit: str = WHOLE
    start: dt.date | None = None
    end: dt.date | None = None

    @property
    def label(self) -> str:
        """Short name: `2018-03`, `2018-03-05`, or both ends where it is not a whole unit."""
        if self.start is None or self.end is None:
            return WHOLE
        if self.unit in set(Unit):
            unit = Unit(self.unit)
            whole = unit.begin(self.start) == self.start and unit.following(self.start) == self.end
            if whole and unit is Unit.month:
                return str(self.start)[:7]
            if whole:
                return f"{self.start:%G-W%V}" if unit is Unit.week else str(self.start)
        return f"{self.start}..{self.end}"

    @property
    def note(self) -> dict[str, str]:
        """The partition in a commit record."""
        return {"unit": self.unit, "start": str(self.start or ""), "end": str(self.end or "")}

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> Self:
        """Read it back."""
        start, end = (
            dt.date.fromisoformat(t) if (t := note[k]) else None for k in ("start", "end")
        )
        return cls(str(note["unit"]), start, end)

    def text(self, column: str) -> str:
        """Condition over ISO text: it sorts as its dates do, whatever time of day follows.

        An instant with an offset is placed by its day in UTC, which is that of its text or one beside it; the
        wider span of text lets a reader pass over files.
        """
        if self.start is None or self.end is None:
            return "true"
        a_day = dt.timedelta(days=1)
        first = max(self.start, dt.date.min + a_day) - a_day
        last = min(self.end, dt.date.max - a_day) + a_day
        plain = f"{column} >= '{self.start}' AND {column} < '{self.end}'"
        instant = self.typed(f"try_cast({column} AS timestamp)", "timestamp")
        return (
            f"{column} >= '{first}' AND {column} < '{last}' AND "
            f"CASE WHEN {column} RLIKE '{OFFSET}' THEN coalesce({instant}, {plain}) ELSE {plain} END"
        )

    def typed(self, column: str, kind: str) -> str:
        """Condition over a date or timestamp."""
        first, last = (f"CAST('{day}' AS {kind})" for day in (self.start, self.end))
        return f"{column} >= {first} AND {column} < {last}"


MOST_PARTITIONS = 5_000
"""Of one range: each is staged, checked and committed by itself."""


def split(start: dt.date, end: dt.date, unit: Unit) -> list[Partition]:
    """The units of a half-open range, in order; the first and the last may be cut.

    Raises:
        ValueError: The range is empty, or has more than `MOST_PARTITIONS`.
    """
    first = start
    if start >= end:
        raise ValueError(f"the range from {start} to {end} holds no day: the end is not included")
    found: list[Partition] = []
    while start < end:
        if len(found) == MOST_PARTITIONS:
            raise ValueError(
                f"the range from {first} to {end} has more than {MOST_PARTITIONS:,} partitions of a {unit}"
            )
        until = min(unit.following(start), end)
        found.append(Partition(unit.value, start, until))
        start = until
    return found
