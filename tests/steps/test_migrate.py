"""Tables that move to another format and back: the same rows, and an increment that is not broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from storage.adapter import FormatStore
from storage.delta_store import DeltaStore
from storage.errors import ConfigurationError
from storage.iceberg_store import IcebergStore
from storage.lake_store import LakeStore
from storage.placement import Placements
from storage.types import MIGRATED, TableRef
from tasks import changes
from tasks.ledger import complete, delivered
from tasks.migrate import DifferentRowsError, Moved, finish, migrate, undo
from tasks.rollback import plan_run, restore
from tests.conformance.tables import record
from tests.sessions import BOTH, lake_at
from tests.steps.shop import Shop
from tests.steps.test_layers import first, second

OTHER = {"delta": "iceberg", "iceberg": "delta"}
ALL = ("bronze.customers", "bronze.orders", "silver.customers", "silver.orders",
       "silver.orders__quarantine", "gold.daily")  # fmt: skip


def third(shop: Shop) -> str:
    shop.deliver("orders_3", "o2,c2,21.00,2018-10-17", "o6,c9,6.00,2018-10-18")
    return shop.run()


def fourth(shop: Shop) -> str:
    shop.deliver("orders_4", "o6,c9,6.50,2018-10-18", "o7,c1,7.00,2018-10-19")
    return shop.run()


def shop_in(folder: Path, spark: SparkSession, format_name: str = "delta") -> Shop:
    folder.mkdir()
    return Shop(lake_at(folder / "lake", format_name), folder, spark)


def store_of(shop: Shop) -> LakeStore:
    assert isinstance(shop.store, LakeStore)
    return shop.store


def move(shop: Shop, label: str, to: str) -> Moved:
    domain, layer, name = shop.spec.name, *label.split(".")
    return migrate(shop.bench("migrate"), store_of(shop), TableRef(domain, layer, name), to)


def in_silver_only(shop: Shop) -> None:
    """Something is delivered that gold has not consumed yet."""
    shop.deliver("orders_2", "o1,c1,15.00,2018-10-16", "o4,c1,5.00,2018-10-17")
    shop.run("bronze", "silver")


@pytest.mark.parametrize("format_name", BOTH)
def test_there_and_back_gives_the_same_rows_and_an_unbroken_increment(
    spark: SparkSession, tmp_path: Path, format_name: str
) -> None:
    shop, control = (shop_in(tmp_path / n, spark, format_name) for n in ("moved", "control"))
    for one in (shop, control):
        first(one)
        in_silver_only(one)
    before, news = shop.state(), shop.news()
    tables = [shop.spec.ref("silver.orders"), shop.spec.ref("bronze.orders")]
    for ref in tables:
        assert move(shop, ref.label, OTHER[format_name]).format == OTHER[format_name]
        assert shop.store.format_of(ref) == OTHER[format_name]
        assert move(shop, ref.label, OTHER[format_name]).commits == 0
    assert shop.state() == before
    assert shop.news() == news == ["gold.daily"]

    consumed = shop.log.head(shop.spec.ref("gold.daily")).record
    assert consumed is not None
    silver, bench = tables[0], shop.bench("look")
    head = str(shop.log.head(silver).version)
    rows = changes.since(bench, silver, consumed.inputs["silver.orders"], head)
    assert rows is not None, "gold would have to be computed anew"
    assert {row.order_id for row in rows.collect()} == {"o1", "o4"}
    assert complete(shop.log, tables[1])
    assert [f.delivery for f in delivered(shop.log, tables[1])] == [1, 2]

    for one in (shop, control):
        third(one)
    assert shop.state() == control.state()
    for ref in tables:
        assert move(shop, ref.label, format_name).format == format_name
    assert shop.state() == control.state()
    assert shop.news() == []
    for one in (shop, control):
        fourth(one)
    assert shop.state() == control.state()
    assert shop.news() == []


@pytest.mark.slow
@pytest.mark.parametrize("format_name", ["delta", "iceberg"])
def test_every_table_moves_and_the_copies_before_are_finished_with(
    spark: SparkSession, tmp_path: Path, format_name: str
) -> None:
    shop, control = (shop_in(tmp_path / n, spark, format_name) for n in ("moved", "control"))
    for one in (shop, control):
        first(one)
        run_id = second(one)
        bench = one.bench("undo")
        for step in plan_run(bench, one.spec.tables(), run_id):
            restore(bench, step)
        one.run()
    for to, work in ((OTHER[format_name], third), (format_name, fourth)):
        for label in ALL:
            move(shop, label, to)
            finish(
                shop.bench("finish"), store_of(shop), TableRef(shop.spec.name, *label.split("."))
            )
        assert shop.state() == control.state()
        for one in (shop, control):
            work(one)
        assert shop.state() == control.state()
        assert shop.news() == []
    other = store_of(shop).adapter(OTHER[format_name])
    assert all(other.tables(f"shop_{layer}") == [] for layer in ("bronze", "silver", "gold"))


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


POINTS: dict[str, tuple[Any, str, int]] = {
    "announcement": (Placements, "write", 1),
    "creation": (IcebergStore, "_create", 1),
    "first commit": (IcebergStore, "_overwrite", 1),
    "second commit": (IcebergStore, "_overwrite", 2),
    "changed rows": (changes, "hand_on", 1),
    "switch": (Placements, "write", 2),
}

QUICK = (("second commit", False), ("switch", False))
"""What the default tests try; the others are slow."""


@pytest.mark.parametrize(
    ("point", "after"),
    [
        pytest.param(point, after, marks=() if (point, after) in QUICK else pytest.mark.slow)
        for point in POINTS
        for after in (False, True)
    ],
)
def test_a_move_that_is_cut_off_anywhere_ends_the_same(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, after: bool
) -> None:
    shop = shop_in(tmp_path / "shop", spark)
    first(shop)
    in_silver_only(shop)
    before = shop.state()
    owner, name, number = POINTS[point]
    calls, original = [0], getattr(owner, name)

    def dying(*arguments: object, **named: object) -> object:
        calls[0] += 1
        if calls[0] == number and not after:
            raise Killed
        result = original(*arguments, **named)
        if calls[0] == number:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, dying)
    with pytest.raises(Killed):
        move(shop, "silver.orders", "iceberg")
    monkeypatch.undo()
    assert shop.state() == before
    move(shop, "silver.orders", "iceberg")
    assert shop.state() == before
    ref = shop.spec.ref("silver.orders")
    old, new = store_of(shop).adapter("delta"), store_of(shop).adapter("iceberg")
    tokens = [[e.record.token for e in s.history(ref) if e.record] for s in (old, new)]
    assert tokens[0] == tokens[1], "every commit once"
    assert store_of(shop).placements.of(ref).current.format == "iceberg"


def test_a_copy_with_other_rows_is_refused_and_the_table_stays(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = shop_in(tmp_path / "shop", spark)
    first(shop)
    before, original = shop.state(), IcebergStore._overwrite

    def losing(self: IcebergStore, ref: TableRef, rows: object, *rest: object) -> None:
        original(self, ref, rows.where("order_id <> 'o1'"), *rest)  # type: ignore[attr-defined, arg-type]

    monkeypatch.setattr(IcebergStore, "_overwrite", losing)
    with pytest.raises(DifferentRowsError, match=r"silver\.orders: the copy of version .* other"):
        move(shop, "silver.orders", "iceberg")
    monkeypatch.undo()
    with pytest.raises(DifferentRowsError):  # the wrong commit is found again
        move(shop, "silver.orders", "iceberg")
    ref = shop.spec.ref("silver.orders")
    assert (shop.store.format_of(ref), shop.state()) == ("delta", before)
    assert undo(shop.bench("undo"), store_of(shop), ref).format == "delta"
    assert not store_of(shop).adapter("iceberg").exists(ref)
    move(shop, "silver.orders", "iceberg")
    assert shop.state() == before


def test_undo_takes_back_what_was_committed_since(spark: SparkSession, tmp_path: Path) -> None:
    shop, control = (shop_in(tmp_path / name, spark) for name in ("moved", "control"))
    for one in (shop, control):
        first(one)
    ref = shop.spec.ref("silver.orders")
    move(shop, ref.label, "iceberg")
    for one in (shop, control):
        second(one)
    moved = undo(shop.bench("undo"), store_of(shop), ref)
    assert (moved.format, moved.before, moved.commits) == ("delta", "iceberg", 1)
    assert shop.state() == control.state()
    assert shop.news() == []
    for one in (shop, control):
        third(one)
    assert shop.state() == control.state()
    run_ids = {e.record.run_id for e in shop.log.history(ref) if e.record}
    assert run_ids == {"run-1", "run-2", "run-3"}


@pytest.fixture
def shop(spark: SparkSession, tmp_path: Path) -> Shop:
    made = shop_in(tmp_path / "shop", spark)
    first(made)
    return made


def test_what_cannot_be_moved_says_why(shop: Shop) -> None:
    store, bench = store_of(shop), shop.bench("migrate")
    ref = shop.spec.ref("silver.orders")
    absent = TableRef("shop", "silver", "absent")
    refused: dict[str, Callable[[], object]] = {
        "does not exist in this lake": lambda: migrate(bench, store, absent, "iceberg"),
        "no earlier copy to go back to": lambda: undo(bench, store, ref),
    }
    for told, work in refused.items():
        with pytest.raises(ConfigurationError, match=told):
            work()
    other: FormatStore = store.adapter("iceberg")
    other.create(ref, shop.store.read(ref).schema)
    with pytest.raises(ConfigurationError, match="another table of that name in iceberg"):
        migrate(bench, store, ref, "iceberg")
    assert store.format_of(ref) == "delta"


def test_a_rollback_of_a_moved_table_notes_its_own_version(shop: Shop) -> None:
    ref = shop.spec.ref("silver.orders")
    move(shop, ref.label, "iceberg")
    store = store_of(shop)
    newest, *_ = store.history(ref)
    assert newest.version.startswith("1:")
    assert newest.record is not None
    assert newest.record.notes[MIGRATED] == "1"
    store.rollback(ref, newest.version, record("back"))
    assert store.history(ref)[0].restored == newest.version
    assert isinstance(store.adapter("delta"), DeltaStore)
