"""Rows that break a rule of their table go to quarantine, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.spec import ColumnSpec, SilverSpec
from tests.conftest import MakeLake
from tests.property.driver import rows_of
from tests.sessions import BOTH
from tests.steps.shelf import Shelf


@pytest.mark.parametrize("format_name", BOTH)
def test_a_required_column_is_required_as_typed_and_as_computed(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    spec = SilverSpec(
        key=["id"],
        columns={
            "id": ColumnSpec(),
            "size": ColumnSpec("int", required=True),
            "parts": ColumnSpec("int"),
            "share": ColumnSpec("int", expr="try_divide(size, parts)", required=True),
        },
    )
    shelf = Shelf(
        spark, make_lake(format_name, tmp_path / "lake"), tmp_path, ["id", "size", "parts"], spec
    )
    shelf.deliver("1", ("a", 6, 3), ("b", 6, 0), ("c", "", 3), ("d", 6, "x"))
    staged, _ = shelf.run()["silver.item"]
    assert staged.rows["quarantined"] == 3
    assert shelf.rows("id", "share") == [("a", 2)]
    kept_out = rows_of(shelf.store, shelf.domain.ref("silver.item__quarantine"))
    assert sorted((row["_rule"], row["_reason"]) for row in kept_out) == [
        ("not_parseable", "parts: 'x' is not a int (record 4 of item_1.csv)"),
        ("required_missing", "share: required, but empty (record 2 of item_1.csv)"),
        ("required_missing", "size: required, but empty (record 3 of item_1.csv)"),
    ]
