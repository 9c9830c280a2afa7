"""What a step may cost beside the work itself."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from storage.spark.metrics import _newest as newest_query
from tasks.aggregate import volume
from tasks.domain.spec import SourceSpec, VolumeSpec
from tasks.ingest.sources.files.reader import FileReader
from tests.conftest import MakeLake
from tests.sources.shop import Shop as Sales
from tests.steps.shop import Shop


def test_expected_and_actual_volume_are_one_query(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> None:
    shop = Shop(make_lake("delta"), tmp_path, spark)
    context, session = shop.context("run-1"), shop.store.session
    session.sql("select 1 id, 2.5 price").createOrReplaceTempView("silver_orders")
    rows = session.createDataFrame([(7,), (8,)], "revenue int")
    spec = VolumeSpec(input="select sum(price) from silver.orders", output="sum(revenue)")
    before = newest_query(session)
    assert volume._volumes(context, spec, rows) == (2.5, 15.0)
    session.sparkContext._jsc.sc().listenerBus().waitUntilEmpty(10_000)
    assert newest_query(session) == before + 1


def test_the_collector_is_paused_while_records_are_read(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SourceSpec(pattern="sale_*.csv", columns=["id", "amount"])
    sales = Sales(tmp_path, make_lake("delta"), spark, source)
    sales.write("sale_1.csv", "id,amount", "1,2.50")
    paused, read = [], FileReader.stage

    def watched(self: FileReader, *arguments: Any) -> Any:
        paused.append(not gc.isenabled())
        return read(self, *arguments)

    monkeypatch.setattr(FileReader, "stage", watched)
    assert sales.stage() is not None
    assert paused == [True]
    assert gc.isenabled()
