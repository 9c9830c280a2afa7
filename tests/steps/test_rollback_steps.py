"""Rollback and the run after it: the tables end as those of a lake that nothing was rolled back in.

The tests of a format share one lake. Each starts from its full state and leads back to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession

from storage.errors import ConfigurationError, VersionNotFoundError
from storage.types import Version
from tasks.domain.schemas import quarantine_of
from tasks.manage.rollback import Restore, left_behind, plan_run, plan_version, readers, restore
from tasks.records.accounting import balance
from tasks.records.ledger import complete, delivered
from tests.sessions import lake_at
from tests.steps.shop import Row, Shop

State = dict[str, list[Row]]
FROM = "run-1"
FIRST: State = {
    "bronze.customers": [("c1", "customers_1.csv"), ("c2", "customers_1.csv")],
    "bronze.orders": [
        ("o1", "10.00", "orders_1.csv"), ("o2", "20.00", "orders_1.csv"),
        ("o3", "30.00", "orders_1.csv"),
    ],
    "silver.customers": [("c1", "here"), ("c2", "there")],
    "silver.orders": [("o1", "c1", "10.00", "2018-10-16"), ("o2", "c2", "20.00", "2018-10-17")],
    "kept out": [("o3", "reference_missing", "orders_1.csv")],
    "gold.daily": [("2018-10-16", "1", "10.00"), ("2018-10-17", "1", "20.00")],
}  # fmt: skip
"""After the first delivery: o3 waits for its customer."""
FULL: State = {
    "bronze.customers": [*FIRST["bronze.customers"], ("c9", "customers_2.csv")],
    "bronze.orders": [
        ("o1", "10.00", "orders_1.csv"), ("o1", "15.00", "orders_2.csv"),
        ("o2", "20.00", "orders_1.csv"), ("o3", "30.00", "orders_1.csv"),
        ("o4", "5.00", "orders_2.csv"), ("o5", "dear", "orders_2.csv"),
        ("o6", "6.00", "orders_2.csv"),
    ],
    "silver.customers": [("c1", "here"), ("c2", "there"), ("c9", "far")],
    "silver.orders": [
        ("o1", "c1", "15.00", "2018-10-16"), ("o2", "c2", "20.00", "2018-10-17"),
        ("o3", "c9", "30.00", "2018-10-17"), ("o4", "c1", "5.00", "2018-10-17"),
    ],
    "kept out": [("o5", "not_parseable", "orders_2.csv"), ("o6", "reference_missing", "orders_2.csv")],
    "gold.daily": [("2018-10-16", "1", "15.00"), ("2018-10-17", "3", "55.00")],
}  # fmt: skip
"""After the second: o1 is corrected, o3 released, o5 no number, o6 waits."""


@pytest.fixture(
    scope="module",
    params=["delta", pytest.param("iceberg", marks=pytest.mark.slow)],
)
def shop(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    folder = tmp_path_factory.mktemp(f"rollback-{request.param}")
    lake = lake_at(folder / "lake", request.param)
    made = Shop(lake, folder, spark)
    made.deliver("customers_1", "c1,here", "c2,there")
    made.deliver("orders_1", "o1,c1,10.00,2018-10-16", "o2,c2,20.00,2018-10-17",
                 "o3,c9,30.00,2018-10-17")  # fmt: skip
    assert made.run() == FROM
    assert made.state() == FIRST
    return made


def second(shop: Shop) -> None:
    shop.deliver("customers_2", "c9,far")
    shop.deliver("orders_2", "o1,c1,15.00,2018-10-16", "o4,c1,5.00,2018-10-17",
                 "o5,c1,dear,2018-10-17", "o6,c8,6.00,2018-10-17")  # fmt: skip


@pytest.fixture
def last(shop: Shop) -> str:
    """The run that took in the second delivery; the tables are in their full state."""
    run_id = whole(shop)
    if run_id is None:
        own = f"base-{next(shop.numbers)}"
        for ref in reversed(shop.spec.tables()):
            first = next(e for e in shop.log.history(ref) if e.record and e.record.run_id == FROM)
            do(shop, plan_version(shop.context(), ref, first.version), own)
        second(shop)
        run_id = shop.run()
    assert whole(shop) == run_id
    settled(shop)
    return run_id


def whole(shop: Shop) -> str | None:
    """The one run that all tables have had after the first; None where they have had others."""
    found = set()
    for ref in shop.spec.tables():
        behind = [e for e in shop.log.lineage(ref) if e.restored is None and e.record]
        found.add(tuple(e.record.run_id for e in behind if e.record))
    runs = found.pop()
    return runs[0] if not found and len(runs) == 2 and runs[1] == FROM else None


def newest_run(shop: Shop) -> str:
    record = shop.log.head(shop.spec.ref("bronze.orders")).record
    assert record is not None
    return record.run_id


def do(shop: Shop, steps: list[Restore], run_id: str) -> None:
    for step in steps:
        assert not restore(shop.context(run_id), step).repeated


def back(shop: Shop, run_id: str, *layers: str) -> str:
    """Roll a run back; the id of the rollback."""
    chosen = [r for r in shop.spec.tables() if not layers or r.layer in layers]
    own = f"back-{next(shop.numbers)}"
    do(shop, plan_run(shop.context(), chosen, run_id), own)
    return own


def settled(shop: Shop) -> None:
    """The full state, with nothing new and a ledger that the commit records hold."""
    assert shop.state() == FULL
    assert shop.news() == []
    for name, spec in shop.spec.silver.items():
        ref = shop.spec.ref(f"silver.{name}")
        held = quarantine_of(ref)
        account = balance(shop.log, ref, held, shop.spec.ref(spec.source or ""))
        rows = Counter(row[0] for row in shop.rows(held.label, "_batch_id"))
        assert [*account.missing(), *account.missing_of_batches(rows)] == []
        assert (account.surplus, account.held) == (0, rows.total())
    for name in shop.spec.bronze:
        ref = shop.spec.ref(f"bronze.{name}")
        assert complete(shop.log, ref)
        assert [f.delivery for f in delivered(shop.log, ref)] == shop.deliveries(ref.label)


def test_a_run_is_undone_whole_and_taken_in_again(shop: Shop, last: str) -> None:
    before = shop.deliveries()
    steps = plan_run(shop.context(), shop.spec.tables(), last)
    assert [s.table.label for s in steps] == [
        "gold.daily", "silver.orders", "silver.orders__quarantine", "silver.orders__released",
        "silver.customers", "bronze.orders", "bronze.customers",
    ]  # fmt: skip
    assert {s.undone for s in steps} == {(last,)}
    do(shop, steps, "back")
    assert shop.state() == FIRST
    assert shop.news() == ["bronze.customers", "bronze.orders"]
    assert plan_run(shop.context(), shop.spec.tables(), last) == []

    shop.run()
    settled(shop)
    after = shop.deliveries()
    assert after[0] == before[0]
    assert after[-1] > before[-1], "a delivery number is never given twice"


@pytest.mark.slow
def test_a_file_that_is_gone_stays_out(shop: Shop, last: str) -> None:
    back(shop, last)
    for file in shop.landing.glob("*_2.csv"):
        file.unlink()
    assert shop.news() == []
    heads = shop.heads()
    shop.run()
    assert shop.heads() == heads
    assert shop.state() == FIRST

    shop.deliver("orders_3", "o7,c1,7.00,2018-10-18")
    run_id = shop.run()
    assert shop.rows("silver.orders", "order_id") == [("o1",), ("o2",), ("o7",)]
    assert shop.rows("gold.daily", "day", "revenue")[-1] == ("2018-10-18", "7.00")
    back(shop, run_id)
    (shop.landing / "orders_3.csv").unlink()


@pytest.mark.slow
@pytest.mark.parametrize("layers", [("bronze",), ("silver",), ("gold",), ("bronze", "gold")])
def test_layers_go_back_alone(shop: Shop, last: str, layers: tuple[str, ...]) -> None:
    bronze = shop.heads()["bronze.orders"]
    back(shop, last, *layers)
    state = shop.state()
    for label, rows in state.items():
        layer = "silver" if label == "kept out" else label.split(".")[0]
        expected = (FIRST if layer in layers else FULL)[label]
        if label == "kept out" and "bronze" in layers:
            expected = []  # o5 and o6 are not in bronze any more
        assert rows == expected, label
    assert shop.news()
    shop.run()
    settled(shop)
    assert (shop.heads()["bronze.orders"] == bronze) is ("bronze" not in layers)


@pytest.mark.slow
def test_one_table_goes_back_to_a_version_with_its_quarantine(shop: Shop, last: str) -> None:
    orders = shop.spec.ref("silver.orders")
    to = next(e.version for e in shop.log.history(orders) if e.record and e.record.run_id == FROM)
    steps = plan_version(shop.context(), orders, to)
    assert [s.table.name for s in steps] == ["orders", "orders__quarantine", "orders__released"]
    assert readers(shop.context(), steps) == ["gold.daily"]
    do(shop, steps, f"back-{next(shop.numbers)}")
    state = shop.state()
    assert state["silver.orders"] == FIRST["silver.orders"]
    assert state["kept out"] == FIRST["kept out"]
    assert state["gold.daily"] == FULL["gold.daily"]
    assert plan_version(shop.context(), orders, to) == []
    assert shop.news() == ["silver.orders", "gold.daily"]
    shop.run("gold")
    assert shop.rows("gold.daily", "day", "orders", "revenue") == FIRST["gold.daily"]
    shop.run()
    settled(shop)
    assert newest_run(shop) == last


@pytest.mark.slow
def test_the_record_of_a_rollback_is_that_of_what_it_restored(shop: Shop, last: str) -> None:
    orders = shop.spec.ref("silver.orders")
    first = next(e for e in shop.log.history(orders) if e.record and e.record.run_id == FROM)
    own = back(shop, last, "silver")
    (head,) = shop.log.history(orders, limit=1)
    assert first.record is not None
    assert head.record is not None
    assert first.version in (e.version for e in shop.log.lineage(orders, head.restored)[:2])
    assert (head.record.run_id, head.record.rows, head.record.files) == (own, {}, ())
    assert head.record.inputs == first.record.inputs
    assert head.record.contract == first.record.contract
    assert head.record.notes["batches"] == first.record.notes["batches"]
    shop.run()
    settled(shop)


@pytest.mark.slow
def test_a_rollback_that_was_killed_is_finished_by_a_repeat(shop: Shop, last: str) -> None:
    steps = plan_run(shop.context(), shop.spec.tables(), last)
    for done in range(1, len(steps)):
        do(shop, steps[done - 1 : done], f"killed-{last}-{done}")
        assert plan_run(shop.context(), shop.spec.tables(), last) == steps[done:]
    do(shop, steps[-1:], f"killed-{last}")
    assert shop.state() == FIRST
    shop.run()
    settled(shop)


@pytest.mark.slow
def test_a_rollback_is_undone_like_a_run(shop: Shop, last: str) -> None:
    own = back(shop, last)
    assert shop.state() == FIRST
    back(shop, own)
    assert shop.state() == FULL
    settled(shop)


@pytest.mark.slow
def test_a_reader_that_is_behind_takes_in_what_still_counts(shop: Shop, last: str) -> None:
    """Silver has seen neither of two deliveries, of which the second is rolled back and comes again."""
    back(shop, last)
    for file in shop.landing.glob("*_2.csv"):
        file.unlink()
    second(shop)
    shop.run("bronze")
    late = shop.deliver("orders_4", "o4,c1,9.00,2018-10-18")
    back(shop, shop.run("bronze"))
    late.unlink()
    shop.run("silver", "gold")
    settled(shop)


@pytest.mark.slow
def test_the_first_run_can_be_undone(shop: Shop, last: str) -> None:
    steps = plan_run(shop.context(), shop.spec.tables(), FROM)
    do(shop, steps, f"back-{next(shop.numbers)}")
    assert all(rows == [] for rows in shop.state().values())
    shop.run()
    settled(shop)


@pytest.mark.slow
def test_a_table_that_is_left_behind_is_told(shop: Shop, last: str) -> None:
    tables = [ref for ref in shop.spec.tables() if ref.layer == "bronze"]
    steps = plan_run(shop.context(), tables, last)
    told = left_behind(shop.context(), steps)
    assert [text.split()[0] for text in told] == ["silver.customers", "silver.orders"]
    assert left_behind(shop.context(), plan_run(shop.context(), shop.spec.tables(), last)) == []


@pytest.mark.parametrize(
    ("plan", "error", "told"),
    [
        (lambda b: plan_run(b, b.domain.tables(), "nobody"), ConfigurationError, "run nobody: it has"),
        (lambda b: plan_version(b, b.domain.ref("gold.daily"), Version("77")),
         VersionNotFoundError, r"gold\.daily: version 77 is not in the retained"),
    ],
    ids=["run", "version"],
)  # fmt: skip
def test_what_is_not_known_is_refused(
    shop: Shop, plan: Callable[..., object], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        plan(shop.context())
