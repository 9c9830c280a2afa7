"""A batch that is rejected leaves no row in quarantine, however far an attempt had come before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from storage.errors import CommitConflictError
from tasks import run_table
from tasks.context import Attempt, Context
from tasks.merge import quarantine
from tasks.records.decisions import Decision, resolve
from tasks.table import writing
from tests.conftest import MakeLake
from tests.property import driver
from tests.quarantine.shop import CUSTOMERS, ORDERS, Shop, order
from tests.quarantine.test_release import assert_balanced, killed_run
from tests.sessions import BOTH


@pytest.fixture(params=BOTH)
def shop(
    request: pytest.FixtureRequest, spark: SparkSession, make_lake: MakeLake, tmp_path: Path
) -> Shop:
    return Shop(spark, make_lake(request.param), tmp_path)


def decide(shop: Shop, file: str, decision: Decision) -> None:
    found = shop.store.read(shop.domain.ref("bronze.orders")).select("_batch_id", "_source_file")
    (batch,) = {r._batch_id for r in found.collect() if Path(r._source_file).stem == file}
    resolve(
        shop.store, "shop", batch_id=batch, table_name="bronze.orders", decision=decision,
        reason="looked at", by="ann",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param(driver, "check", id="staged", marks=pytest.mark.slow),
        pytest.param(quarantine, "enter", id="checked", marks=pytest.mark.slow),
        pytest.param(writing, "expected", id="in quarantine already"),
    ],
)
def test_rows_of_a_rejected_batch_are_not_in_quarantine(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, 1))
    shop.run()
    bad = [order(f"o{n}", 1, -1) for n in range(2, 32)]
    shop.deliver("orders_2", ORDERS, *bad, order("o32", 1, 1))
    killed_run(shop, monkeypatch, module, name)

    decide(shop, "orders_2", Decision.rejected)
    attempt = shop.run()["silver.orders"]
    assert attempt is not None
    assert (attempt.rows["rejected"], attempt.rows["quarantined"]) == (31, 0)
    assert (shop.orders(), shop.held()) == ({"o1": 1}, {})
    assert_balanced(shop)
    assert set(shop.run().values()) == {None}


def test_a_waiting_row_of_a_batch_that_is_rejected_meanwhile_stays_out(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is none of the attempt's: its row waited for a reference, and is tried again."""
    shop.deliver("orders_1", ORDERS, order("o1", 1, 1))
    shop.deliver("orders_2", ORDERS, order("o2", 1, 1, "c2"))
    shop.run()
    shop.deliver("customers_2", CUSTOMERS, ("c2",))
    whole = driver.check_and_publish

    def reject(context: Context, attempt: Attempt, *told: Any) -> None:
        if attempt.table == shop.fed:
            decide(shop, "orders_2", Decision.rejected)
        whole(context, attempt, *told)

    with monkeypatch.context() as patched:
        patched.setattr(driver, "check_and_publish", reject)
        with pytest.raises(CommitConflictError, match=r"was rejected after it had been staged"):
            shop.run()
    shop.run()
    assert shop.orders() == {"o1": 1}
    assert set(shop.held()) == {("o2", "1")}


def test_a_batch_that_is_rejected_during_its_publication_is_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.deliver("orders_1", ORDERS, order("o1", 1, 1))
    enter, staged = quarantine.enter, []

    def rejected_now(context: Context, attempt: Attempt) -> None:
        if attempt.table == shop.fed:
            staged.append(attempt)
            decide(shop, "orders_1", Decision.rejected)
        enter(context, attempt)

    with monkeypatch.context() as patched:
        patched.setattr(quarantine, "enter", rejected_now)
        shop.run()
    assert shop.orders() == {"o1": 1}
    [batch] = staged[0].batches
    landing = shop.folder / "landing"
    context = driver.contexts(shop.spark, shop.lake, shop.domain, landing, number=9)()
    assert run_table.rejected_meanwhile(context, staged[0]) == [batch.batch_id]


def test_a_decision_makes_another_attempt_of_the_same_input(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = []

    whole = driver.check_and_publish

    def note(context: Context, attempt: Attempt, *told: Any) -> None:
        if attempt.table != shop.fed:
            whole(context, attempt, *told)
            return
        tokens.append(attempt.token)
        raise RuntimeError("blocked")

    shop.deliver("orders_1", ORDERS, order("o1", 1, -1))
    with monkeypatch.context() as patched:
        patched.setattr(driver, "check_and_publish", note)
        for decision in (None, None, Decision.rejected, Decision.accepted):
            if decision is not None:
                decide(shop, "orders_1", decision)
            with pytest.raises(RuntimeError, match="blocked"):
                shop.run()
    undecided, again, rejected, accepted = tokens
    assert undecided == again, "a repeat has the same token"
    assert len({undecided, rejected, accepted}) == 3
    shop.run()
    assert shop.held() == {("o1", "-1"): "negative"}, "rejected, and then accepted after all"
