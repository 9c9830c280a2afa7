"""A delete and an insert at one sequence: the delete wins, unless a column of the sequence says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import ColumnSpec, Deletes, SilverSpec, Strategy
from tests.conftest import MakeLake
from tests.sessions import BOTH, slow
from tests.steps.shelf import Shelf

COLUMNS = ["id", "at", "op", "v"]
DAY = "2024-01-01 00:00:00"
INSERT, DELETE = ("i", "new"), ("d", "")


def shelf(
    spark: SparkSession, make_lake: MakeLake, root: Path, name: str, strategy: Strategy,
    order: list[str],
) -> Shelf:  # fmt: skip
    spec = SilverSpec(
        strategy=strategy,
        key=["id"],
        sequence_by=order,
        delete_when="op = 'd'",
        deletes=Deletes.hard if strategy is Strategy.upsert else Deletes.soft,
        track=["v"] if strategy is Strategy.scd2 else [],
        columns={
            "id": ColumnSpec(),
            "at": ColumnSpec("timestamp"),
            "op": ColumnSpec(),
            "v": ColumnSpec(),
            "comes_after": ColumnSpec("int", expr="if(op = 'd', 0, 1)"),
        },
    )
    return Shelf(spark, make_lake(name, root / "lake"), root, COLUMNS, spec)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("strategy", [Strategy.scd2, *slow(Strategy.upsert)])
@pytest.mark.parametrize(
    ("order", "alive"),
    [(["at"], False), (["at", "comes_after"], True)],
    ids=["the delete wins", "the insert wins"],
)
def test_a_delete_and_an_insert_at_one_sequence(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, name: str, strategy: Strategy,
    order: list[str], alive: bool,
) -> None:  # fmt: skip
    made = shelf(spark, make_lake, tmp_path, name, strategy, order)
    arrivals = {"insert first": [INSERT, DELETE, INSERT], "delete first": [DELETE, INSERT, DELETE]}
    for number in range(3):
        rows = [(key, DAY, *events[number]) for key, events in arrivals.items()]
        together = [("together", DAY, *event) for event in (DELETE, INSERT)]
        made.deliver(str(number), *rows, *together)
        made.run()
    expected = [(key, "new") for key in sorted([*arrivals, "together"])] if alive else []
    assert made.rows("id", "v") == expected
