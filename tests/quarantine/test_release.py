"""Rows leave the quarantine through the normal path, exactly once, wherever a run is cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tasks.context import Attempt, Context
from tasks.domain.schemas import quarantine_of, released_of
from tasks.domain.spec import Strategy
from tasks.merge import quarantine
from tasks.records import changes
from tasks.records.releases import Action, withdraw
from tasks.table import writing
from tests.conftest import MakeLake
from tests.quarantine.shop import CUSTOMERS, ORDERS, Shop, order
from tests.sessions import BOTH

MakeShop = Callable[..., Shop]


@pytest.fixture
def make_shop(spark: SparkSession, make_lake: MakeLake, tmp_path: Path) -> MakeShop:
    return lambda name, strategy=Strategy.upsert: Shop(spark, make_lake(name), tmp_path, strategy)


@pytest.fixture(params=BOTH)
def shop(request: pytest.FixtureRequest, make_shop: MakeShop) -> Shop:
    return make_shop(request.param)


def assert_balanced(shop: Shop) -> None:
    balance = shop.balance()
    assert balance.missing() == []
    assert (balance.surplus, balance.held) == (0, len(shop.held()))


def test_released_rows_are_judged_again_and_those_still_bad_stay(shop: Shop) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, 500), order("o2", 1, -1), order("o3", 1, 900))
    shop.run()
    assert shop.orders() == {}
    assert set(shop.held().values()) == {"over_limit", "negative"}

    shop.allow(600)
    assert set(shop.run().values()) == {None}, "nobody asked"
    request = shop.ask()
    attempt = shop.run()["silver.orders"]
    assert attempt is not None
    assert shop.orders() == {"o1": 500}
    assert shop.held() == {("o2", "-1"): "negative", ("o3", "900"): "over_limit"}
    assert shop.left() == [("orders_1.csv:1", "over_limit", "released")]
    (stay,) = shop.store.read_arrow(released_of(shop.fed)).to_pylist()
    head = shop.store.head(shop.fed).record
    assert head is not None
    assert (stay["_request_id"], stay["_merge_id"]) == (request.request_id, head.token)
    (batch,) = (attempt.notes.accounts or {}).values()
    assert batch == {"released": 1, "published": 1}
    assert_balanced(shop)
    assert set(shop.run().values()) == {None}


@pytest.mark.slow
def test_a_row_released_twice_is_published_once(shop: Shop) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, 500))
    shop.run()
    shop.allow(600)
    shop.ask()
    shop.ask()
    shop.run()
    assert shop.orders() == {"o1": 500}
    assert len(shop.left()) == 1
    version = shop.store.head(shop.fed).version
    assert set(shop.run().values()) == {None}
    assert shop.store.head(shop.fed).version == version
    assert_balanced(shop)


def test_a_released_row_does_not_overwrite_a_newer_one(shop: Shop) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, 500))
    shop.deliver("orders_2", ORDERS, order("o1", 2, 50))
    shop.run()
    shop.allow(600)
    shop.ask()
    attempt = shop.run()["silver.orders"]
    assert attempt is not None
    assert (attempt.rows["released"], attempt.rows["deduplicated"]) == (1, 1)
    assert shop.orders() == {"o1": 50}
    assert shop.held() == {}
    assert_balanced(shop)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_where_the_first_delivery_wins_a_released_row_counts_from_its_own_as_in_a_rebuild(
    make_shop: MakeShop, name: str
) -> None:
    shop = make_shop(name, Strategy.append)
    shop.deliver("orders_1", ORDERS, order("o1", 1, -1))
    shop.deliver("orders_2", ORDERS, order("o1", 2, 50))
    shop.deliver("orders_3", ORDERS, order("o1", 3, -3), order("o1", 4, 60))
    shop.run()
    assert shop.orders() == {"o1": 50}

    shop.ask(lambda row: row["amount"] == "-3", action=Action.waive)
    attempt = shop.run()["silver.orders"]
    assert attempt is not None
    assert (attempt.rows["released"], attempt.rows["deduplicated"]) == (1, 1)
    assert shop.orders() == {"o1": 50}, "a later delivery changes nothing, released or not"

    shop.ask(lambda row: row["amount"] == "-1", action=Action.waive)
    attempt = shop.run()["silver.orders"]
    assert attempt is not None
    assert (attempt.rows["released"], attempt.rows["published"]) == (1, 1)
    assert (shop.orders(), shop.held()) == ({"o1": -1}, {})
    shop.run(rebuild=True)
    assert (shop.orders(), shop.held()) == ({"o1": -1}, {})
    assert_balanced(shop)


@pytest.mark.slow
def test_a_waived_row_is_let_in_and_a_rebuild_lets_it_in_again(shop: Shop) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, -1), order("o2", 1, -2), order("o3", 1, 1))
    shop.run()
    shop.ask(lambda row: row["order"] == "o1", action=Action.waive)
    shop.run()
    expected = {"o1": -1, "o3": 1}
    assert (shop.orders(), shop.held()) == (expected, {("o2", "-2"): "negative"})
    assert shop.left() == [("orders_1.csv:1", "negative", "waived")]

    shop.run(rebuild=True)
    assert (shop.orders(), shop.held()) == (expected, {("o2", "-2"): "negative"})
    assert shop.left() == [("orders_1.csv:1", "negative", "waived")]
    assert_balanced(shop)
    shop.deliver("orders_2", ORDERS, order("o4", 1, -1))
    shop.run()
    assert shop.held() == {("o2", "-2"): "negative", ("o4", "-1"): "negative"}, "only that row"


@pytest.mark.slow
def test_a_request_that_is_withdrawn_is_not_followed(shop: Shop) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, -1), order("o2", 1, -2))
    shop.run()
    first = shop.ask(lambda row: row["order"] == "o1", action=Action.waive)
    withdraw(shop.store, shop.fed, first.request_id, reason="no", by="bob")
    assert set(shop.run().values()) == {None}
    second = shop.ask(action=Action.waive)
    shop.run()
    assert shop.orders() == {"o1": -1, "o2": -2}
    withdraw(shop.store, shop.fed, second.request_id, reason="no", by="bob")
    assert set(shop.run().values()) == {None}, "what is published stays"
    shop.run(rebuild=True)
    assert (shop.orders(), len(shop.held())) == ({}, 2)
    assert_balanced(shop)


def test_a_waiver_lifts_one_rule_and_the_next_is_named(shop: Shop) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, -1, customer="c2"))
    shop.run()
    shop.ask(action=Action.waive)
    shop.run()
    assert shop.held() == {("o1", "-1"): "reference_missing"}
    shop.deliver("customers_2", CUSTOMERS, ("c2",))
    shop.run()
    assert (shop.orders(), shop.held()) == ({"o1": -1}, {})
    assert_balanced(shop)


@pytest.mark.slow
def test_a_rebuild_keeps_the_history_of_rows_that_are_good_now(shop: Shop) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, 500), order("o2", 1, -1))
    shop.run()
    (before,) = [r for r in shop.store.read(quarantine_of(shop.fed)).collect() if r.order == "o2"]
    shop.allow(600)
    shop.run(rebuild=True)
    assert (shop.orders(), shop.held()) == ({"o1": 500}, {("o2", "-1"): "negative"})
    assert shop.left() == [("orders_1.csv:1", "over_limit", "judged_anew")]
    (after,) = shop.store.read(quarantine_of(shop.fed)).collect()
    assert after._quarantined_at == before._quarantined_at
    assert_balanced(shop)


class KilledError(Exception):
    """Stands for the end of the process."""


def killed_run(
    shop: Shop, patch: pytest.MonkeyPatch, module: object, name: str, *, rebuild: bool = False
) -> None:
    """A run that ends where it comes to a function for its orders."""
    whole = getattr(module, name)

    def until_orders(context: Context, attempt: Attempt, *rest: object) -> object:
        if attempt.table == shop.fed:
            raise KilledError
        return whole(context, attempt, *rest)

    with patch.context() as patched:
        patched.setattr(module, name, until_orders)
        with pytest.raises(KilledError):
            shop.run(rebuild=rebuild)


POINTS = [
    pytest.param(quarantine, "enter", id="before rows enter", marks=pytest.mark.slow),
    pytest.param(quarantine, "note_leaving", id="after rows have entered", marks=pytest.mark.slow),
    pytest.param(changes, "keep", id="before the commit", marks=pytest.mark.slow),
    pytest.param(writing, "expected", id="at the commit"),
    pytest.param(quarantine, "leave", id="after the commit", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(
    "moves",
    [
        pytest.param(False, id="same input"),
        pytest.param(True, id="more input", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(("module", "name"), POINTS)
def test_a_release_cut_off_anywhere_is_completed_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, module: object, name: str, moves: bool
) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, 500), order("o2", 1, 700))
    shop.deliver("orders_2", ORDERS, order("o3", 1, 1, customer="c2"))
    shop.run()
    shop.allow(600)
    shop.ask()
    shop.deliver("customers_2", CUSTOMERS, ("c2",))
    shop.deliver("orders_3", ORDERS, order("o4", 1, -4), order("o5", 1, 5, customer="c3"))

    killed_run(shop, monkeypatch, module, name)
    if moves:
        shop.deliver("customers_3", CUSTOMERS, ("c3",))
    shop.run()
    good = {"o1": 500, "o3": 1} | ({"o5": 5} if moves else {})
    bad = {("o2", "700"): "over_limit", ("o4", "-4"): "negative"}
    waits = {} if moves else {("o5", "5"): "reference_missing"}
    assert (shop.orders(), shop.held()) == (good, bad | waits)
    assert set(shop.left()) >= {
        ("orders_1.csv:1", "over_limit", "released"),
        ("orders_2.csv:1", "reference_missing", "released"),
    }
    assert len(shop.left()) == len({row for row, _, _ in shop.left()})
    assert_balanced(shop)
    assert set(shop.run().values()) == {None}


def test_a_rebuild_cut_off_before_its_commit_loses_no_waiting_row(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, 1, customer="c2"))
    shop.run()
    shop.deliver("customers_2", CUSTOMERS, ("c2",))

    killed_run(shop, monkeypatch, quarantine, "note_leaving", rebuild=True)
    shop.run()
    assert (shop.orders(), shop.held()) == ({"o1": 1}, {})
    assert_balanced(shop)


def test_events_of_a_history_are_released_into_it(make_shop: MakeShop) -> None:
    shop = make_shop("delta", Strategy.scd2)
    shop.deliver("orders_1", ORDERS, order("o1", 1, 500), order("o1", 2, 50))
    shop.run()
    assert shop.orders() == {"o1": 50}
    shop.allow(600)
    assert shop.ask().table_name == "silver.orders"
    shop.run()
    rows = shop.store.read(shop.domain.ref("silver.orders")).orderBy("valid_from").collect()
    assert [(r.amount, r.is_current) for r in rows] == [(500, False), (50, True)]
    assert_balanced(shop)
