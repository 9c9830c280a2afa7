"""Append: a key counts once, for ever or in each window, whatever the order of arrival."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.spec import ColumnSpec, SilverSpec, Strategy, WindowSpec
from tests.conftest import MakeLake
from tests.sessions import BOTH
from tests.steps.shelf import Shelf

ROWS = [
    ("x", "2024-01-01 10:00:00", "1"),
    ("x", "2024-01-01 23:00:00", "2"),
    ("x", "2024-01-02 01:00:00", "3"),
    ("y", "2024-01-01 10:00:00", "1"),
]


def shelf(
    spark: SparkSession, make_lake: MakeLake, root: Path, name: str, window: WindowSpec | None
) -> Shelf:
    spec = SilverSpec(
        strategy=Strategy.append,
        key=["id"],
        window=window,
        columns={"id": ColumnSpec(), "at": ColumnSpec("timestamp"), "n": ColumnSpec("int")},
    )
    return Shelf(spark, make_lake(name, root / "lake"), root, ["id", "at", "n"], spec)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("window", "expected"),
    [(None, [("x", 3), ("y", 1)]), (WindowSpec("at", 1), [("x", 2), ("x", 3), ("y", 1)])],
    ids=["for ever", "a day"],
)
def test_a_key_counts_once(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str,
    window: WindowSpec | None, expected: list[tuple[str, int]],
) -> None:  # fmt: skip
    for number, rows in enumerate(list(itertools.permutations(ROWS))[5::13]):
        made = shelf(spark, make_lake, tmp_path / str(number), name, window)
        for half, part in enumerate((rows[:2], rows[1:])):
            made.deliver(str(half), *part)
            made.run()
        assert made.rows("id", "n") == expected, rows
