"""The two years that the growth domain covers: how busy each day and hour is."""

from __future__ import annotations

from datetime import date

import numpy as np

from tasks.generate.columns import FloatArray, IntArray
from tasks.generate.sampling import draw

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds

FIRST_DAY, LAST_DAY = date(2023, 1, 1), date(2024, 12, 31)
_EPOCH = date(1970, 1, 1).toordinal()
START = (FIRST_DAY.toordinal() - _EPOCH) * DAY
END = (LAST_DAY.toordinal() + 1 - _EPOCH) * DAY
"""Seconds since 1970-01-01 UTC; nothing that happens at END or later is known yet."""

_GROWTH = 0.7  # the last day is exp(0.7), twice as busy as the first, before all else
_SEASON, _PEAK = 0.22, 315  # a year's swing and the day of the year where it is highest
_QUIET = {(12, day): 0.55 for day in range(22, 32)} | {(1, 1): 0.5, (1, 2): 0.7}
_WEEKDAYS = (1.14, 1.17, 1.14, 1.10, 0.97, 0.70, 0.78)  # from Monday
_HOURS = (14, 9, 6, 4, 4, 6, 14, 28, 46, 62, 66, 64, 56, 60, 64, 62, 58, 50, 42, 38, 36, 34, 28, 20)


def instants(rng: np.random.Generator, rows: int) -> IntArray:
    """Draw instants over the whole period: growth, seasons, weekdays, hours of the day."""
    days = draw(rng, _day_weights(), rows)
    return START + days * DAY + draw(rng, _HOURS, rows) * HOUR + rng.integers(0, HOUR, rows)


def _day_weights() -> FloatArray:
    first, last = FIRST_DAY.toordinal(), LAST_DAY.toordinal()
    weights = np.zeros(last - first + 1)
    for at in range(len(weights)):
        day = date.fromordinal(first + at)
        turn = 2 * np.pi * (day.timetuple().tm_yday - _PEAK) / 365
        season = (1 + _SEASON * np.cos(turn)) * _QUIET.get((day.month, day.day), 1.0)
        trend = np.exp(_GROWTH * at / len(weights))
        weights[at] = trend * season * _WEEKDAYS[day.weekday()]
    return weights


def on_workdays(rng: np.random.Generator, at: IntArray, share: float) -> IntArray:
    """Move `share` of what falls on a weekend two days on, so to Monday and Tuesday."""
    weekday = (at // DAY + 3) % 7  # 1970-01-01 was a Thursday
    moved = (weekday >= 5) & (rng.random(len(at)) < share)
    return at + np.where(moved, 2 * DAY, 0)


def days(count: FloatArray) -> IntArray:
    """Days as whole seconds."""
    return (count * DAY).astype(np.int64)
