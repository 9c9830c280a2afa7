"""Spans of time: how a range is split, what a partition is called, and what it holds."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rows.partitions import Partition, Unit, split
from tests.property.settings import SETTINGS


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("unit", "start", "end", "labels"),
    [
        (Unit.month, "2018-03-01", "2018-04-01", ["2018-03"]),
        (Unit.month, "2017-11-01", "2018-02-01", ["2017-11", "2017-12", "2018-01"]),
        (
            Unit.month,
            "2018-01-15",
            "2018-03-02",
            ["2018-01-15..2018-02-01", "2018-02", "2018-03-01..2018-03-02"],
        ),
        (Unit.day, "2018-02-28", "2018-03-02", ["2018-02-28", "2018-03-01"]),
        (Unit.week, "2018-01-01", "2018-01-15", ["2018-W01", "2018-W02"]),
        (
            Unit.week,
            "2018-01-03",
            "2018-01-09",
            ["2018-01-03..2018-01-08", "2018-01-08..2018-01-09"],
        ),
        (Unit.week, "2018-12-31", "2019-01-07", ["2019-W01"]),
        (Unit.month, "0001-01-01", "0001-03-01", ["0001-01", "0001-02"]),
        (Unit.month, "9999-11-01", "9999-12-31", ["9999-11", "9999-12"]),
        (Unit.week, "9999-12-27", "9999-12-31", ["9999-W52"]),
    ],
)
def test_split(unit: Unit, start: str, end: str, labels: list[str]) -> None:
    assert [p.label for p in split(day(start), day(end), unit)] == labels


@SETTINGS
@given(
    st.dates(dt.date(1999, 1, 1), dt.date(2030, 1, 1)), st.integers(1, 900), st.sampled_from(Unit)
)
def test_parts_follow_each_other_without_gap_and_end_with_the_range(
    start: dt.date, days: int, unit: Unit
) -> None:
    end = start + dt.timedelta(days=days)
    parts = split(start, end, unit)
    assert (parts[0].start, parts[-1].end) == (start, end)
    for one, other in pairwise(parts):
        assert one.end == other.start
        assert one.start is not None
        assert one.end == unit.following(unit.begin(one.start))


@pytest.mark.parametrize("end", ["2018-03-01", "2018-02-28"])
def test_an_empty_range_is_refused(end: str) -> None:
    with pytest.raises(ValueError, match="no day"):
        split(day("2018-03-01"), day(end), Unit.month)


def test_a_range_without_end_is_refused() -> None:
    with pytest.raises(
        ValueError, match="from 0018-03-01 to 2018-04-01 has more than 5,000 partitions"
    ):
        split(day("0018-03-01"), day("2018-04-01"), Unit.day)


@pytest.mark.parametrize(
    "partition", [Partition(), Partition("month", day("2018-03-01"), day("2018-04-01"))]
)
def test_a_commit_record_gives_the_partition_back(partition: Partition) -> None:
    assert Partition.from_note({"id": "x", **partition.note}) == partition


def test_conditions() -> None:
    part = Partition("day", day("2018-03-01"), day("2018-03-02"))
    assert part.text("`at`").startswith("`at` >= '2018-02-28' AND `at` < '2018-03-03' AND CASE")
    assert part.typed("`at`", "date") == (
        "`at` >= CAST('2018-03-01' AS date) AND `at` < CAST('2018-03-02' AS date)"
    )


@pytest.mark.parametrize(
    ("start", "end", "begins"),
    [
        ("0001-01-01", "0001-01-02", "at >= '0001-01-01' AND at < '0001-01-03'"),
        ("9999-12-30", "9999-12-31", "at >= '9999-12-29' AND at < '9999-12-31'"),
    ],
)
def test_the_ends_of_the_calendar(start: str, end: str, begins: str) -> None:
    assert Partition("day", day(start), day(end)).text("at").startswith(begins)
