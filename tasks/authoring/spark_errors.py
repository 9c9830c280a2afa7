"""Errors of Spark's parser, analyzer and executors in one readable line; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyspark.errors import PySparkException

_LINE = re.compile(r"\bline (\d+),? pos(?:ition)?:? \d+")
_NOISE = re.compile(r"^\[[\w.]+\] |\s*SQLSTATE: \w+.*$")


@dataclass(frozen=True)
class SparkSays:
    """What Spark says of a text: the reason, and its line in that text where Spark names one."""

    reason: str
    line: int | None


def explained(error: PySparkException) -> SparkSays:
    """The reason without its class, state and plan."""
    text = str(error)
    place = _LINE.search(text)
    first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return SparkSays(_NOISE.sub("", first).strip(" ;"), int(place[1]) if place else None)
