"""Durations as a domain writes them."""

from __future__ import annotations

import re
from datetime import timedelta

UNITS = ("second", "minute", "hour", "day")

_DURATION = re.compile(rf"(\d+) ({'|'.join(UNITS)})s?")


def duration(text: str) -> timedelta:
    """Read `26 hours`.

    Raises:
        ValueError: It is not a duration.
    """
    matched = _DURATION.fullmatch(text.strip())
    if not matched:
        raise ValueError(f"{text!r} is not like '26 hours'")
    return timedelta(**{f"{matched[2]}s": int(matched[1])})
