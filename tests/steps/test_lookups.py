"""Looked-up columns: a row is published without what is not there yet, and gets it when it comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.domain.spec import ColumnSpec, Deletes, JoinSpec, SilverSpec
from tests.conftest import MakeLake
from tests.sessions import BOTH
from tests.steps.shelf import Shelf


@pytest.fixture(params=BOTH)
def shelf(
    request: pytest.FixtureRequest, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> Shelf:
    """Rows that look up a city, which none of them has yet; the one of `y` is deleted."""
    spec = SilverSpec(
        key=["id"],
        sequence_by=["at"],
        delete_when="op = 'd'",
        deletes=Deletes.soft,
        lookups={"cities": JoinSpec("silver.city", {"city": "city"})},
        columns={
            "id": ColumnSpec(), "at": ColumnSpec("int"), "op": ColumnSpec(), "city": ColumnSpec(),
            "country": ColumnSpec(lookup="cities.country"),
        },
    )  # fmt: skip
    city = SilverSpec(key=["city"], columns={"city": ColumnSpec(), "country": ColumnSpec()})
    made = Shelf(
        spark, make_lake(request.param, tmp_path / "lake"), tmp_path, ["id", "at", "op", "city"],
        spec, beside={"city": city},
    )  # fmt: skip
    made.deliver("1", ("none", "nowhere"), source="city")
    made.deliver("1", ("w", 5, "u", "bern"), ("x", 5, "u", "bern"), ("y", 5, "d", "bern"))
    made.run()
    assert made.rows("id", "country") == [("w", None), ("x", None), ("y", None)]
    return made


def test_a_row_gets_what_it_looks_up_also_where_an_older_one_of_its_key_comes_with_it(
    shelf: Shelf,
) -> None:
    shelf.deliver("2", ("bern", "CH"), source="city")
    shelf.deliver("2", ("x", 3, "u", "rome"), ("y", 3, "u", "bern"), ("z", 3, "u", "bern"))
    attempt, _ = shelf.run()["silver.item"]
    assert (attempt.rows["refreshed"], attempt.rows["published"]) == (3, 1)
    assert attempt.rows["deduplicated"] == 2
    assert shelf.rows("id", "at", "country") == [
        ("w", 5, "CH"), ("x", 5, "CH"), ("y", 5, "CH"), ("z", 3, "CH"),
    ]  # fmt: skip


def test_a_newer_row_looks_up_for_itself(shelf: Shelf) -> None:
    shelf.deliver("2", ("bern", "CH"), ("rome", "IT"), source="city")
    shelf.deliver("2", ("x", 7, "u", "rome"), ("y", 7, "u", "rome"))
    attempt, _ = shelf.run()["silver.item"]
    assert (attempt.rows["refreshed"], attempt.rows["published"]) == (1, 2)
    assert shelf.rows("id", "at", "country") == [("w", 5, "CH"), ("x", 7, "IT"), ("y", 7, "IT")]
