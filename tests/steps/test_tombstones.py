"""Hard deletes: what an attempt that was cut off has remembered counts for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.context import Attempt
from tasks.domain.schemas import tombstones_of
from tasks.domain.spec import ColumnSpec, Deletes, SilverSpec
from tasks.merge import tombstones
from tasks.records import decisions
from tasks.run_table import check, publish
from tests.conftest import MakeLake
from tests.property.driver import stage
from tests.sessions import BOTH
from tests.steps.shelf import Shelf

COLUMNS = ["id", "at", "op", "n"]


@pytest.fixture(params=BOTH)
def shelf(
    request: pytest.FixtureRequest, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> Shelf:
    """Two rows, and a delivery that deletes one of them, whose run was killed before its commit."""
    spec = SilverSpec(
        key=["id"],
        sequence_by=["at"],
        delete_when="op = 'd'",
        deletes=Deletes.hard,
        columns={"id": ColumnSpec(), "at": ColumnSpec("int"), "op": ColumnSpec(),
                 "n": ColumnSpec("int")},
    )  # fmt: skip
    made = Shelf(spark, make_lake(request.param, tmp_path / "lake"), tmp_path, COLUMNS, spec)
    made.deliver("1", ("x", 1, "u", 1), ("y", 1, "u", 1))
    made.run()
    made.deliver("2", ("x", 5, "d", ""), ("z", 5, "d", ""))
    return made


def cut_off(shelf: Shelf) -> Attempt:
    """Everything of a run up to the deletes, not the commit of the table."""
    make = shelf.context()
    bronze, silver = shelf.domain.ref("bronze.item"), shelf.domain.ref("silver.item")
    arrived = stage(make(), bronze)
    assert arrived is not None
    publish(make(), arrived, check(make(), arrived))
    attempt = stage(make(), silver)
    assert attempt is not None
    tombstones.enter(make(), attempt, shelf.domain.silver["item"])
    assert shelf.store.stats(tombstones_of(silver)).rows == 2
    return attempt


def test_the_next_run_counts_the_deletes_as_its_own(shelf: Shelf) -> None:
    killed = cut_off(shelf)
    attempt, _ = shelf.run()["silver.item"]
    assert killed.rows["published"] == 2
    assert attempt.rows == killed.rows
    assert shelf.rows("id") == [("y",)]
    shelf.deliver("3", ("x", 4, "u", 4), ("z", 6, "u", 6))
    shelf.run()
    assert shelf.rows("id", "n") == [("y", 1), ("z", 6)]


def test_deletes_of_a_batch_that_was_then_rejected_do_not_count(shelf: Shelf) -> None:
    cut_off(shelf)
    head = shelf.store.head(shelf.domain.ref("bronze.item")).record
    assert head is not None
    decisions.resolve(
        shelf.store, shelf.domain.name, batch_id=head.files[0].batch_id, table_name="bronze.item",
        decision=decisions.Decision.rejected, reason="wrong", by="test",
    )  # fmt: skip
    shelf.run()
    shelf.deliver("3", ("x", 4, "u", 4))
    shelf.run()
    assert shelf.rows("id", "n") == [("x", 4), ("y", 1)]
