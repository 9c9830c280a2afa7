"""Full snapshots: the newest says which keys are there, whatever the order and grouping of arrival."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import ColumnSpec, Deletes, SilverSpec, Strategy
from tests.conftest import MakeLake
from tests.sessions import BOTH, slow
from tests.steps.shelf import Shelf

DAYS = ("2024-01-01", "2024-01-02", "2024-01-03")
SNAPSHOTS: dict[str, list[tuple[str, str]]] = {
    DAYS[0]: [("a", "1"), ("b", "1"), ("c", "1"), ("e", "1")],
    DAYS[1]: [("a", "2"), ("c", "1"), ("d", "2")],
    DAYS[2]: [("a", "2"), ("d", "3"), ("f", "3")],
}
NEWEST = [("a", 2), ("d", 3), ("f", 3)]


@pytest.fixture(params=BOTH)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def shelf(
    spark: SparkSession, make_lake: MakeLake, root: Path, name: str, deletes: Deletes
) -> Shelf:
    spec = SilverSpec(
        strategy=Strategy.snapshot,
        key=["id"],
        sequence_by=["day"],
        delete_missing=True,
        missing_share=1.0,
        deletes=deletes,
        columns={"id": ColumnSpec(), "day": ColumnSpec("date"), "n": ColumnSpec("int")},
    )
    return Shelf(spark, make_lake(name, root / "lake"), root, ["id", "day", "n"], spec)


def deliver(made: Shelf, day: str) -> None:
    made.deliver(day, *[(key, day, n) for key, n in SNAPSHOTS[day]])


@pytest.mark.parametrize("deletes", [Deletes.soft, *slow(Deletes.hard)])
@pytest.mark.parametrize(
    "order",
    [
        pytest.param(DAYS, id="in order", marks=pytest.mark.slow),
        pytest.param((DAYS[2], DAYS[0], DAYS[1]), id="newest first"),
        pytest.param((DAYS[0], DAYS[2], DAYS[1]), id="last late", marks=pytest.mark.slow),
    ],
)
def test_the_newest_snapshot_decides_in_any_order(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str,
    order: tuple[str, ...], deletes: Deletes,
) -> None:  # fmt: skip
    made = shelf(spark, make_lake, tmp_path, name, deletes)
    for number, day in enumerate(order):
        deliver(made, day)
        made.run()
        seen = max(order[: number + 1])
        expected = sorted((key, int(n)) for key, n in SNAPSHOTS[seen])
        assert live(made, deletes) == expected, day
    assert live(made, deletes) == NEWEST
    made.run(rebuild=True)
    assert live(made, deletes) == NEWEST


def live(made: Shelf, deletes: Deletes) -> list[tuple[object, ...]]:
    if deletes is Deletes.hard:
        return made.rows("id", "n")
    return [row[:2] for row in made.rows("id", "n", "_is_deleted") if not row[2]]


@pytest.mark.slow
@pytest.mark.parametrize("deletes", Deletes)
def test_several_snapshots_at_once_give_the_same(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str, deletes: Deletes
) -> None:
    for first, *rest in (DAYS, (DAYS[1], DAYS[0], DAYS[2])):
        made = shelf(spark, make_lake, tmp_path / first, name, deletes)
        deliver(made, first)
        made.run()
        for day in rest:
            deliver(made, day)
        made.run()
        assert live(made, deletes) == NEWEST, first


def test_what_did_not_change_is_not_written(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    made = shelf(spark, make_lake, tmp_path, name, Deletes.soft)
    deliver(made, DAYS[0])
    made.run()
    before = dict(made.rows("id", "_merge_id"))
    deliver(made, DAYS[1])
    attempt, _ = made.run()["silver.item"]
    assert attempt.rows["published"] == 2
    assert attempt.rows["removed"] == 2
    assert attempt.rows["deduplicated"] == 1
    after = dict(made.rows("id", "_merge_id"))
    assert {key for key, token in after.items() if before.get(key) == token} == {"c"}
    gone = {row[0]: row[1:] for row in made.rows("id", "_is_deleted", "day")}
    assert gone["b"] == (True, date(2024, 1, 2))


def test_a_row_that_is_bad_in_the_newest_snapshot_is_not_missing(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    made = shelf(spark, make_lake, tmp_path, name, Deletes.hard)
    deliver(made, DAYS[0])
    made.run()
    made.deliver(DAYS[1], ("a", DAYS[1], "two"), ("b", DAYS[1], "2"))
    made.run()
    assert made.rows("id", "n") == [("a", 1), ("b", 2)]


def test_a_snapshot_that_lacks_too_much_is_blocked(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str
) -> None:
    made = shelf(spark, make_lake, tmp_path, name, Deletes.hard)
    made.domain.silver["item"].missing_share = 0.2
    deliver(made, DAYS[0])
    made.run()
    made.deliver(DAYS[1], ("a", DAYS[1], "2"))
    _, gate = made.run()["silver.item"]
    assert gate.verdict.blocked
    assert "3 of 4 rows are not in the newest snapshot" in "; ".join(gate.verdict.reasons)
    assert made.rows("id", "n") == [("a", 1), ("b", 1), ("c", 1), ("e", 1)]


PLACES = {
    "int": ("-10", "-9", "9", "10"),
    "bigint": ("9", "10", "99999999999", "100000000000"),
    "decimal(9,2)": ("-1.5", "9.9", "10.25", "100"),
    "double": ("-2.5", "9", "1e2", "1e10"),
    "date": ("0009-01-01", "1969-12-31", "1970-01-01", "2024-10-09"),
    "timestamp": (
        "1969-12-31 23:59:59", "2024-01-09 09:00:00", "2024-01-09 09:00:00.5", "2024-01-09 10:00:00",
    ),
    "string": ("10", "9", "a", "ä"),
}  # fmt: skip
"""Values of each type in its order, which is another one than that of their text but for strings."""


@pytest.mark.parametrize(
    "kind", ["decimal(9,2)", *slow("int", "bigint", "double", "date", "timestamp", "string")]
)
def test_the_declared_type_orders_snapshots(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str, kind: str
) -> None:
    made = shelf(spark, make_lake, tmp_path, name, Deletes.hard)
    made.domain.silver["item"].columns["day"].type = kind
    first, second, third, last = PLACES[kind]
    made.deliver("1", ("a", second, "2"), ("b", second, "2"))
    made.run()
    made.deliver("2", ("a", first, "1"), ("c", first, "1"))
    made.run()
    assert made.rows("id", "n") == [("a", 2), ("b", 2)], "an older snapshot changes nothing"
    made.deliver("3", ("b", third, "3"))
    made.deliver("4", ("b", last, "4"), ("d", last, "4"))
    made.run()
    assert made.rows("id", "n") == [("b", 4), ("d", 4)], "the last of several decides"
    made.deliver("5", ("e", third, "5"))
    made.run()
    assert made.rows("id", "n") == [("b", 4), ("d", 4)], "its place is known to the next run"


RECORDED = {
    "int": ("9", "8", "10"),
    "timestamp": ("2024-01-09 09:00:00", "2024-01-08 10:00:00", "2024-01-09 10:00:00"),
    "": ("0000000001", "", "x"),
}
"""By type the place that a record has, an older and a newer one; without a type the number of a delivery."""


@pytest.mark.parametrize("kind", ["int", *slow("timestamp", "")])
def test_a_place_in_the_record_of_an_earlier_version_goes_on(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str, kind: str
) -> None:
    made = shelf(spark, make_lake, tmp_path, name, Deletes.hard)
    known, older, newer = RECORDED[kind]
    spec = made.domain.silver["item"]
    spec.columns["day"].type, spec.sequence_by = kind or "string", ["day"] if kind else []
    made.deliver("1", ("a", known, "1"), ("b", known, "1"))
    made.run()
    ref = made.domain.ref("silver.item")
    record = made.store.head(ref).record
    assert record is not None
    notes = {**record.notes, "snapshot": known, "mark": True}
    made.store.checkpoint(ref, replace(record, token="earlier", notes=notes, rows={}))
    if older:
        made.deliver("2", ("a", older, "2"))
        made.run()
    assert made.rows("id", "n") == [("a", 1), ("b", 1)]
    made.deliver("3", ("a", newer, "3"))
    made.run()
    assert made.rows("id", "n") == [("a", 3)]


@pytest.mark.slow
@pytest.mark.parametrize("day", ["", "soon"])
def test_a_row_of_the_newest_snapshot_whose_place_is_not_readable_is_not_missing(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str, day: str
) -> None:
    made = shelf(spark, make_lake, tmp_path, name, Deletes.hard)
    deliver(made, DAYS[0])
    made.run()
    made.deliver(DAYS[1], ("a", DAYS[1], "2"), ("b", day, "2"))
    made.deliver("older", ("c", "2023-12-31", "2"), ("e", day, "2"))
    made.run()
    assert made.rows("id", "n") == [("a", 2), ("b", 1)]
