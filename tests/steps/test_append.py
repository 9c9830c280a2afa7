"""Append: a key counts once, for ever or in each window, whatever the order of arrival."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import ColumnSpec, SilverSpec, Strategy, WindowSpec
from tests.conftest import MakeLake
from tests.property.driver import quarantined_rows
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


@pytest.mark.parametrize("name", BOTH)
def test_a_row_in_no_window_is_kept_out_however_often_it_comes(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    made = shelf(spark, make_lake, tmp_path, name, WindowSpec("at", 1))
    made.spec.quarantine.share = 1.0
    for number in ("1", "2"):
        made.deliver(number, ("x", "", number), ("y", "2024-01-01 10:00:00", number))
        made.run()
    assert made.rows("id", "n") == [("y", 2)]
    held = quarantined_rows(made.store, made.domain.ref("silver.item"))
    assert held == [("item_1.csv", 1, "key_missing"), ("item_2.csv", 1, "key_missing")]


@pytest.mark.parametrize("name", BOTH)
def test_an_order_of_one_nullable_column_does_not_ask_when_a_row_arrived(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    spec = SilverSpec(
        strategy=Strategy.append, key=["id"], columns={"id": ColumnSpec(), "v": ColumnSpec()}
    )
    made = Shelf(spark, make_lake(name, tmp_path / "lake"), tmp_path, ["id", "v"], spec)
    arrivals = {f"key {n}": order for n, order in enumerate(itertools.permutations(["", "a", "b"]))}
    for number in range(3):
        rows = [(key, order[number]) for key, order in arrivals.items()]
        made.deliver(str(number), *rows, ("never", ""))
        made.run()
    assert made.rows("id", "v") == [*((key, "b") for key in arrivals), ("never", None)]
