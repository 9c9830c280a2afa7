from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.runtime import lake_of
from storage.base import TableStore
from tasks.records import decisions
from tasks.records.decisions import Decision, Resolution, resolutions, resolve


@pytest.fixture(params=["delta", "iceberg"])
def store(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> TableStore:
    return lake_of(make_config(request.param, tmp_path)).store(None)


def _settle(store: TableStore, batch: str, decision: Decision, reason: str = "") -> Resolution:
    return resolve(
        store, "shop", batch_id=batch, table_name="bronze.orders", decision=decision,
        reason=reason, by="ann",
    )  # fmt: skip


def test_without_a_decision_there_are_none(store: TableStore) -> None:
    assert resolutions(store, "shop") == {}
    assert not store.exists(decisions.table("shop"))


def test_a_decision_is_kept_with_its_reason(store: TableStore) -> None:
    made = _settle(store, "orders-1", Decision.accepted, "the supplier's words: \"it's fine\"")
    assert resolutions(store, "shop") == {"orders-1": made}
    assert (made.decision, made.decided_by) == (Decision.accepted, "ann")
    assert resolutions(store, "taxi") == {}


def test_the_same_decision_again_writes_nothing(store: TableStore) -> None:
    first = _settle(store, "orders-1", Decision.rejected, "broken")
    again = _settle(store, "orders-1", Decision.rejected, "broken, again")
    assert again == first
    assert store.stats(decisions.table("shop")).rows == 1


def test_the_newest_decision_of_a_batch_counts(store: TableStore) -> None:
    _settle(store, "orders-1", Decision.rejected)
    _settle(store, "orders-2", Decision.rejected)
    _settle(store, "orders-1", Decision.accepted, "it was right")
    found = resolutions(store, "shop")
    assert {batch: made.decision for batch, made in found.items()} == {
        "orders-1": Decision.accepted,
        "orders-2": Decision.rejected,
    }
    _settle(store, "orders-1", Decision.rejected, "it was not")
    assert resolutions(store, "shop")["orders-1"].reason == "it was not"
    assert store.stats(decisions.table("shop")).rows == 4
