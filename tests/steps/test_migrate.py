"""Tables that move to another format and back: the same rows, and an increment that is not broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from storage.errors import ConfigurationError
from storage.formats.iceberg.store import IcebergStore
from storage.lake_store import LakeStore
from storage.placement import Placements
from storage.types import TableRef
from tasks.manage.migrate import DifferentRowsError, Moved, finish, migrate, undo
from tasks.manage.rollback import plan_run, restore
from tasks.records import changes
from tasks.records.ledger import complete, delivered
from tests.conformance.tables import record
from tests.sessions import BOTH, lake_at
from tests.steps.shop import Shop

OTHER = {"delta": "iceberg", "iceberg": "delta"}
ALL = ("bronze.customers", "bronze.orders", "silver.customers", "silver.orders",
       "silver.orders__quarantine", "gold.daily")  # fmt: skip


def first(shop: Shop) -> None:
    shop.deliver("customers_1", "c1,here", "c2,there")
    shop.deliver("orders_1", "o1,c1,10.00,2018-10-16", "o2,c2,20.00,2018-10-17",
                 "o3,c9,30.00,2018-10-17")  # fmt: skip
    shop.run()


def in_silver_only(shop: Shop) -> None:
    """Something is delivered that gold has not consumed yet."""
    shop.deliver("orders_2", "o1,c1,15.00,2018-10-16", "o4,c1,5.00,2018-10-17")
    shop.run("bronze", "silver")


def third(shop: Shop) -> None:
    shop.deliver("orders_3", "o2,c2,21.00,2018-10-17", "o6,c9,6.00,2018-10-18")
    shop.run()


def fourth(shop: Shop) -> None:
    shop.deliver("orders_4", "o6,c9,6.50,2018-10-18", "o7,c1,7.00,2018-10-19")
    shop.run()


AFTER_THIRD = [("2018-10-16", "1", "15.00"), ("2018-10-17", "2", "26.00")]
AFTER_FOURTH = [*AFTER_THIRD, ("2018-10-19", "1", "7.00")]


def shop_in(folder: Path, spark: SparkSession, format_name: str = "delta") -> Shop:
    folder.mkdir(exist_ok=True)
    return Shop(lake_at(folder / "lake", format_name), folder, spark)


def store_of(shop: Shop) -> LakeStore:
    assert isinstance(shop.store, LakeStore)
    return shop.store


def move(shop: Shop, label: str, to: str) -> Moved:
    return migrate(shop.context("migrate"), store_of(shop), ref_of(shop, label), to)


def move_back(shop: Shop, label: str) -> Moved:
    """Undo a move and remove the copy, so that the lake is as it was."""
    context, ref = shop.context("undo"), ref_of(shop, label)
    undo(context, store_of(shop), ref)
    return finish(context, store_of(shop), ref)


def ref_of(shop: Shop, label: str) -> TableRef:
    return TableRef.parse(shop.spec.name, label)


def tokens(shop: Shop, ref: TableRef, format_name: str) -> list[str]:
    history = store_of(shop).adapter(format_name).history(ref)
    return [entry.record.token for entry in history if entry.record]


@pytest.mark.parametrize("format_name", BOTH)
def test_there_and_back_gives_the_same_rows_and_an_unbroken_increment(
    spark: SparkSession, tmp_path: Path, format_name: str
) -> None:
    shop, other = shop_in(tmp_path, spark, format_name), OTHER[format_name]
    first(shop)
    in_silver_only(shop)
    before, news = shop.state(), shop.news()
    silver, bronze = ref_of(shop, "silver.orders"), ref_of(shop, "bronze.orders")
    for ref in (silver, bronze):
        assert (move(shop, ref.label, other).format, shop.store.format_of(ref)) == (other, other)
        assert move(shop, ref.label, other).commits == 0
    assert shop.state() == before
    assert shop.news() == news == ["gold.daily"]

    consumed = shop.log.head(ref_of(shop, "gold.daily")).record
    assert consumed is not None
    head = str(shop.log.head(silver).version)
    rows = changes.since(shop.context("look"), silver, consumed.inputs["silver.orders"], head)
    assert rows is not None, "gold would have to be computed again"
    assert {row.order_id for row in rows.collect()} == {"o1", "o4"}
    assert complete(shop.log, bronze)
    assert [f.delivery for f in delivered(shop.log, bronze)] == [1, 2]

    third(shop)
    moved = shop.state()
    assert moved["gold.daily"] == AFTER_THIRD
    for ref in (silver, bronze):
        back = undo(shop.context("undo"), store_of(shop), ref)
        assert (back.format, back.before, back.commits) == (format_name, other, 1)
    assert shop.state() == moved
    assert shop.news() == []
    fourth(shop)
    assert shop.state()["gold.daily"] == AFTER_FOURTH
    assert shop.news() == []
    run_ids = {e.record.run_id for e in shop.log.history(silver) if e.record}
    assert run_ids == {"run-1", "run-2", "run-3", "run-4"}


@pytest.mark.slow
@pytest.mark.parametrize("format_name", ["delta", "iceberg"])
def test_every_table_moves_and_the_copies_before_are_finished_with(
    spark: SparkSession, tmp_path: Path, format_name: str
) -> None:
    shop = shop_in(tmp_path, spark, format_name)
    first(shop)
    run_id = shop.run()
    in_silver_only(shop)
    context = shop.context("undo")
    for step in plan_run(context, shop.spec.tables(), f"run-{int(run_id[-1]) + 1}"):
        restore(context, step)
    shop.run()
    for to, work in ((OTHER[format_name], third), (format_name, fourth)):
        before = shop.state()
        for label in ALL:
            move(shop, label, to)
            finish(context, store_of(shop), ref_of(shop, label))
        assert shop.state() == before
        assert shop.news() == []
        work(shop)
        assert shop.news() == []
    assert shop.state()["gold.daily"] == AFTER_FOURTH
    other = store_of(shop).adapter(OTHER[format_name])
    assert all(other.tables(f"shop_{layer}") == [] for layer in ("bronze", "silver", "gold"))


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """One lake for the tests below: each leads it back to the state that it found."""
    made = shop_in(tmp_path_factory.mktemp("migrate"), spark)
    first(made)
    in_silver_only(made)
    return made


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
    shop: Shop, monkeypatch: pytest.MonkeyPatch, point: str, after: bool
) -> None:
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
    ref = ref_of(shop, "silver.orders")
    assert tokens(shop, ref, "delta") == tokens(shop, ref, "iceberg"), "every commit once"
    assert shop.store.format_of(ref) == "iceberg"
    assert move_back(shop, ref.label).format == "delta"
    assert shop.state() == before


def test_a_copy_with_other_rows_is_refused_and_the_table_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, original = shop.state(), IcebergStore._overwrite

    def losing(self: IcebergStore, ref: TableRef, rows: DataFrame, *rest: Any) -> None:
        original(self, ref, rows.where("order_id <> 'o1'"), *rest)

    monkeypatch.setattr(IcebergStore, "_overwrite", losing)
    with pytest.raises(DifferentRowsError, match=r"silver\.orders: the copy of version .* other"):
        move(shop, "silver.orders", "iceberg")
    monkeypatch.undo()
    with pytest.raises(DifferentRowsError):  # the wrong commit is found again
        move(shop, "silver.orders", "iceberg")
    ref = ref_of(shop, "silver.orders")
    assert (shop.store.format_of(ref), shop.state()) == ("delta", before)
    assert undo(shop.context("undo"), store_of(shop), ref).format == "delta"
    assert not store_of(shop).adapter("iceberg").exists(ref)


def test_what_cannot_be_moved_says_why(shop: Shop) -> None:
    store, context = store_of(shop), shop.context("migrate")
    customers, absent = (ref_of(shop, f"silver.{name}") for name in ("customers", "absent"))
    other = store.adapter("iceberg")
    other.create(customers, store.read(customers).schema)
    refused: dict[str, Callable[[], object]] = {
        "does not exist in this lake": lambda: migrate(context, store, absent, "iceberg"),
        "no earlier copy to go back to": lambda: undo(context, store, customers),
        "another table of that name in iceberg": lambda: migrate(
            context, store, customers, "iceberg"
        ),
    }
    for told, work in refused.items():
        with pytest.raises(ConfigurationError, match=told):
            work()
    assert store.format_of(customers) == "delta"
    other.drop(customers)


def test_a_rollback_of_a_moved_table_notes_its_own_version(shop: Shop) -> None:
    ref, store = ref_of(shop, "silver.customers"), store_of(shop)
    move(shop, ref.label, "iceberg")
    newest, *_ = store.history(ref)
    number, _, _ = newest.version.partition(":")
    assert int(number) == store.placements.of(ref).current.number > 0
    assert newest.record is not None
    assert newest.record.copied == str(store.adapter("delta").head(ref).version)
    store.rollback(ref, newest.version, record("back"))
    assert store.history(ref)[0].restored == newest.version
    assert move_back(shop, ref.label).format == "delta"
    assert store.find(ref, "back") is not None
