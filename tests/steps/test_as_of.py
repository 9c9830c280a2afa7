"""The business instant of a domain: asked for once a run and version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from storage.spark.metrics import scans
from tasks.context import Context
from tasks.domain.spec import ColumnSpec, SilverSpec
from tasks.gate.as_of import as_of
from tests.conftest import MakeLake
from tests.sessions import BOTH
from tests.steps.shelf import Shelf


@pytest.mark.parametrize("format_name", BOTH)
def test_it_is_asked_for_once_a_version(
    format_name: str, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    spec = SilverSpec(key=["id"], columns={"id": ColumnSpec(), "day": ColumnSpec("date")})
    shelf = Shelf(spark, make_lake(format_name, tmp_path / "lake"), tmp_path, ["id", "day"], spec)
    shelf.domain.as_of = "select max(day) from silver.item"
    bronze, silver = shelf.domain.ref("bronze.item"), shelf.domain.ref("silver.item")

    make = shelf.context()
    nothing = shelf.spark.range(0)
    assert as_of(make(), bronze, nothing) == f"{make().run.started_at:%Y-%m-%d %H:%M:%S}"

    shelf.deliver("1", ("a", "2026-03-01"))
    shelf.run()
    make = shelf.context()

    def asked() -> tuple[str, int]:
        context: Context = make()
        with scans(context.store.session) as found:
            value = as_of(context, bronze, nothing)
        return value, len(found)

    (first, scanned), (second, again) = asked(), asked()
    assert first == second == "2026-03-01 23:59:59"
    assert (scanned > 0, again) == (True, 0)

    context = make()
    newer = context.store.session.createDataFrame(
        [("b", datetime(2026, 3, 5, tzinfo=UTC).date())], "id string, day date"
    )
    assert as_of(context, silver, newer) == "2026-03-05 23:59:59"
    assert asked() == ("2026-03-01 23:59:59", 0)
    context = make()
    shelf.deliver("2", ("a", "2026-03-02"))
    shelf.run()
    assert as_of(context, bronze, nothing) == "2026-03-02 23:59:59"
