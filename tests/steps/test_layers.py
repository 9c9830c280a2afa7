"""Layers in formats of their own: bronze in Parquet, silver in Delta, gold in Iceberg."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from tasks.ledger import complete, delivered, last_delivery
from tasks.rollback import plan_run, restore
from tests.sessions import lake_at
from tests.steps.shop import Shop

MIXED = {"bronze": "parquet", "gold": "iceberg"}


def shop_in(folder: Path, spark: SparkSession, **layers: str) -> Shop:
    folder.mkdir()
    return Shop(lake_at(folder / "lake", "delta", layers=layers), folder, spark)


def first(shop: Shop) -> str:
    shop.deliver("customers_1", "c1,here", "c2,there")
    shop.deliver("orders_1", "o1,c1,10.00,2018-10-16", "o2,c2,20.00,2018-10-17",
                 "o3,c9,30.00,2018-10-17")  # fmt: skip
    return shop.run()


def second(shop: Shop) -> str:
    shop.deliver("customers_2", "c9,far")
    shop.deliver("orders_2", "o1,c1,15.00,2018-10-16", "o4,c1,5.00,2018-10-17",
                 "o5,c1,dear,2018-10-17")  # fmt: skip
    return shop.run()


def test_layers_of_three_formats_give_what_one_format_gives(
    spark: SparkSession, tmp_path: Path
) -> None:
    mixed = shop_in(tmp_path / "mixed", spark, **MIXED)
    plain = shop_in(tmp_path / "plain", spark)
    for shop in (mixed, plain):
        first(shop)
    assert mixed.state() == plain.state()
    runs = [second(shop) for shop in (mixed, plain)]
    assert mixed.state() == plain.state()
    assert mixed.news() == []
    assert {ref.layer: mixed.store.format_of(ref) for ref in mixed.spec.tables()} == {
        "bronze": "parquet", "silver": "delta", "gold": "iceberg"
    }  # fmt: skip
    bronze = mixed.spec.ref("bronze.orders")
    assert [f.delivery for f in delivered(mixed.log, bronze)] == [1, 2]
    for shop, run_id in zip((mixed, plain), runs, strict=True):
        bench = shop.bench("undo")
        for step in plan_run(bench, shop.spec.tables(), run_id):
            restore(bench, step)
        assert shop.deliveries() == [1]
    assert mixed.state() == plain.state()
    for shop in (mixed, plain):
        shop.run()
    assert mixed.state() == plain.state()
    assert mixed.deliveries() == [1, 3]
    assert complete(mixed.log, bronze)
    assert last_delivery(mixed.log, bronze) == 3
