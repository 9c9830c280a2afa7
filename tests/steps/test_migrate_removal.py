"""Copies that a moved table leaves behind: a removal that is cut off, and an undo that cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pyspark.sql import SparkSession

from storage.errors import TerminalError
from storage.formats.delta import store as delta_store
from storage.formats.iceberg import store as iceberg_store
from storage.formats.parquet import store as parquet_store
from storage.formats.parquet.log import COMMITS
from tasks.manage.migrate import finish, undo
from tasks.records import changes
from tests.conformance.tables import record
from tests.sessions import lake_at
from tests.steps.shop import Shop
from tests.steps.test_migrate import (
    AFTER_THIRD,
    Killed,
    first,
    in_silver_only,
    move,
    ref_of,
    store_of,
    third,
)

MODULES: dict[str, ModuleType] = {
    "parquet": parquet_store,
    "delta": delta_store,
    "iceberg": iceberg_store,
}
# Table, where it is at first, where it goes.
MOVES = [
    ("bronze.orders", "parquet", "delta"),
    ("silver.orders", "delta", "iceberg"),
    ("silver.customers", "iceberg", "delta"),
]


def shop_with(folder: Path, spark: SparkSession, label: str, format_name: str) -> Shop:
    layers = {label.partition(".")[0]: format_name}
    made = Shop(lake_at(folder / "lake", "delta", layers=layers), folder, spark)
    first(made)
    in_silver_only(made)
    return made


def cut_off(where: str, module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the removal of a table's files end before it, in the midst of it, or after it."""
    original, calls = shutil.rmtree, [0]

    def dying(folder: Path, *rest: Any, **named: Any) -> None:
        calls[0] += 1
        if where == "before":
            raise Killed
        inner = sorted(p for p in folder.rglob("*") if p.is_file())
        for path in inner[len(inner) // 2 :]:
            path.unlink()
        if where == "half-way" and (folder.name != COMMITS):
            raise Killed
        original(folder, *rest, **named)

    def forgetting(*_: Any) -> None:
        raise Killed

    if where == "after":
        monkeypatch.setattr(changes, "forget", forgetting)
    else:
        monkeypatch.setattr(module, "shutil", type("Shutil", (), {"rmtree": staticmethod(dying)}))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["before", "half-way", "after"])
@pytest.mark.parametrize(("label", "old", "new"), MOVES)
def test_a_removal_that_is_cut_off_is_completed_by_its_repetition(
    spark: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    label: str,
    old: str,
    new: str,
    where: str,
) -> None:
    shop = shop_with(tmp_path, spark, label, old)
    before, ref = shop.state(), ref_of(shop, label)
    move(shop, label, new)
    with monkeypatch.context() as patch:
        cut_off(where, MODULES[old], patch)
        with pytest.raises(Killed):
            finish(shop.context("finish"), store_of(shop), ref)
    assert shop.state() == before
    assert finish(shop.context("finish"), store_of(shop), ref).format == new
    assert not store_of(shop).adapter(old).exists(ref)
    assert not list(tmp_path.glob(f"lake/{old}/{ref.database}/{ref.name}/**/*.parquet"))
    assert shop.state() == before
    third(shop)
    assert shop.state()["gold.daily"] == AFTER_THIRD


def test_an_undo_that_cannot_be_completed_is_settled_by_giving_up_the_copy(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Rows of a bronze table in Parquet are only ever added, so a copy cannot follow a replacement."""
    shop = shop_with(tmp_path, spark, "bronze.orders", "parquet")
    ref, store = ref_of(shop, "bronze.orders"), store_of(shop)
    move(shop, ref.label, "delta")
    store.replace(ref, store.read(ref).limit(1), record("replaced"))
    before = shop.rows(ref.label, "order_id")
    for _ in range(2):
        with pytest.raises(TerminalError):
            undo(shop.context("undo"), store, ref)
    assert (store.format_of(ref), shop.rows(ref.label, "order_id")) == ("delta", before)
    finish(shop.context("finish"), store, ref)
    assert not store.adapter("parquet").exists(ref)
    assert shop.rows(ref.label, "order_id") == before
