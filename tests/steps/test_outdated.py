"""What a gate said of a table is not used once another run has committed there: stage and check again.

Runs of a domain exclude each other by a lock, which can be lost; the JVM of a killed run has none.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from storage.errors import CommitConflictError, TransientError
from storage.types import CommitRecord
from tasks import run_table
from tasks.context import Attempt, Context, GateReport
from tasks.domain.schemas import quarantine_of
from tasks.records import decisions
from tasks.run_table import check, publish
from tests.conftest import MakeLake
from tests.property.driver import bring_up_to_date
from tests.sessions import BOTH, slow
from tests.steps.shop import Shop

CUSTOMERS = ("c1,here", "c2,there")
BEFORE = ("o1,c1,10.00,2018-10-16",)
MINE, THEIRS = "o2,c1,20.00,2018-10-17", "o3,c2,30.00,2018-10-18"
LABELS = ("bronze.orders", "silver.orders", "gold.daily")
BAD = "o4,c1,dear,2018-10-18"


@pytest.fixture(params=BOTH)
def shop(
    request: pytest.FixtureRequest, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    made = Shop(make_lake(request.param), folder, spark)
    made.deliver("customers_1", *CUSTOMERS)
    made.deliver("orders_1", *BEFORE)
    return made


def staged(shop: Shop, label: str, run_id: str = "mine") -> tuple[Context, Attempt, GateReport]:
    """An attempt that passed its gate."""
    context, ref = shop.context(run_id), shop.spec.ref(label)
    run_table.create(context, ref)
    made = run_table.stage(context, ref)
    assert made is not None
    gate = check(context, made)
    assert not gate.verdict.blocked
    return context, made, gate


def step(shop: Shop, run_id: str, until: str, *, including: bool) -> None:
    """A run of the tables up to one."""
    for ref in shop.spec.tables():
        if ref.label == until and not including:
            return
        bring_up_to_date(shop.context(run_id), ref)
        if ref.label == until:
            return


def seen(shop: Shop) -> dict[str, tuple[str, int]]:
    """Version and number of rows of every table that exists."""
    refs = [*shop.spec.tables(), quarantine_of(shop.spec.ref("silver.orders"))]
    there = [ref for ref in refs if shop.log.exists(ref)]
    return {ref.label: (shop.log.version(ref), shop.log.stats(ref).rows) for ref in there}


def assert_refused(shop: Shop, attempt: tuple[Context, Attempt, GateReport]) -> None:
    """Publication is a transient error and changes no table."""
    before = seen(shop)
    with pytest.raises(CommitConflictError, match="nothing is written") as told:
        publish(*attempt)
    assert isinstance(told.value, TransientError)
    assert seen(shop) == before


@pytest.mark.parametrize(
    "loaded",
    [True, *slow(False)],
    ids=["later load", "first load"],
)
@pytest.mark.parametrize("label", [*LABELS[:2], *slow(LABELS[2])])
def test_a_commit_between_check_and_publication_is_not_built_upon(
    shop: Shop, label: str, loaded: bool
) -> None:
    if loaded:
        shop.run()
    shop.deliver("orders_2", MINE, BAD)
    step(shop, "mine", label, including=False)
    attempt = staged(shop, label)
    shop.deliver("orders_3", THEIRS)
    step(shop, "theirs", label, including=True)

    assert_refused(shop, attempt)
    shop.run()
    orders = [("o1", "c1", "10.00", "2018-10-16"), ("o2", "c1", "20.00", "2018-10-17"),
              ("o3", "c2", "30.00", "2018-10-18")]  # fmt: skip
    state = shop.state()
    assert [row[0] for row in state["bronze.orders"]] == ["o1", "o2", "o3", "o4"]
    assert state["silver.orders"] == orders
    assert state["gold.daily"] == [(day, "1", price) for _, _, price, day in orders]
    assert [row[0] for row in state["kept out"]] == ["o4"]
    assert shop.news() == []


@pytest.mark.slow
@pytest.mark.parametrize("label", [LABELS[1], *slow(LABELS[0], LABELS[2])])
def test_the_attempt_that_a_late_process_has_committed_is_found_by_its_token(
    shop: Shop, label: str
) -> None:
    shop.run()
    shop.deliver("orders_2", MINE, BAD)
    step(shop, "mine", label, including=False)
    context, late, _ = staged(shop, label, "killed")
    attempt = staged(shop, label)
    run_table.kind_of(context.domain, late.table).publish(context, late)
    before = seen(shop)
    assert publish(*attempt).repeated
    assert seen(shop) == before
    shop.run()
    assert [row[0] for row in shop.state()["silver.orders"]] == ["o1", "o2"]


def test_rows_that_enter_the_quarantine_meanwhile_are_not_passed_over(shop: Shop) -> None:
    """What leaves the quarantine was found out before they were there."""
    shop.run()
    shop.deliver("orders_2", MINE)
    step(shop, "mine", "silver.orders", including=False)
    attempt = staged(shop, "silver.orders")
    held = quarantine_of(shop.spec.ref("silver.orders"))
    shop.store.checkpoint(held, CommitRecord("killed", "killed.enter"))
    assert_refused(shop, attempt)
    shop.run()
    assert [row[0] for row in shop.state()["silver.orders"]] == ["o1", "o2"]


def test_a_batch_that_is_rejected_between_check_and_publication_stays_out(shop: Shop) -> None:
    shop.run()
    shop.deliver("orders_2", MINE, BAD)
    step(shop, "mine", "silver.orders", including=False)
    attempt = staged(shop, "silver.orders")
    (batch,) = attempt[1].batches
    decisions.resolve(
        shop.store, "shop", batch_id=batch.batch_id, table_name="bronze.orders",
        decision=decisions.Decision.rejected, reason="looked at", by="ann",
    )  # fmt: skip
    assert_refused(shop, attempt)
    shop.run()
    state = shop.state()
    assert ([row[0] for row in state["silver.orders"]], state["kept out"]) == (["o1"], [])
    assert shop.news() == []
