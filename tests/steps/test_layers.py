"""Layers in formats of their own: bronze in Parquet, silver in Delta, gold in Iceberg."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.manage.rollback import plan_run, restore
from tasks.records.ledger import complete, delivered, last_delivery
from tests.sessions import lake_at
from tests.steps.shop import Shop
from tests.steps.test_rollback_steps import FIRST, FULL

FORMATS = {"bronze": "parquet", "silver": "delta", "gold": "iceberg"}


@pytest.mark.slow
def test_layers_of_three_formats_give_what_one_format_gives(
    spark: SparkSession, tmp_path: Path
) -> None:
    shop = Shop(lake_at(tmp_path / "lake", "delta", layers=FORMATS), tmp_path, spark)
    shop.deliver("customers_1", "c1,here", "c2,there")
    shop.deliver("orders_1", "o1,c1,10.00,2018-10-16", "o2,c2,20.00,2018-10-17",
                 "o3,c9,30.00,2018-10-17")  # fmt: skip
    shop.run()
    assert shop.state() == FIRST
    shop.deliver("customers_2", "c9,far")
    shop.deliver("orders_2", "o1,c1,15.00,2018-10-16", "o4,c1,5.00,2018-10-17",
                 "o5,c1,dear,2018-10-17", "o6,c8,6.00,2018-10-17")  # fmt: skip
    run_id = shop.run()
    assert shop.state() == FULL
    assert shop.news() == []
    assert {ref.layer: shop.store.format_of(ref) for ref in shop.spec.tables()} == FORMATS

    bronze = shop.spec.ref("bronze.orders")
    context = shop.context("undo")
    for step in plan_run(context, shop.spec.tables(), run_id):
        restore(context, step)
    assert shop.state() == FIRST
    shop.run()
    assert shop.state() == FULL
    assert [f.delivery for f in delivered(shop.log, bronze)] == [1, 3]
    assert complete(shop.log, bronze)
    assert last_delivery(shop.log, bronze) == 3
