"""Records that were pushed, in silver."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from conf.load import load_config
from flows.api.app import make_app
from tests.api.conftest import transaction
from tests.api.server import READ, WRITE, served
from tests.e2e.lakehouse import Lakehouse

INSTANTS = (
    "2026-03-01T10:00:00Z",
    "2026-03-01 12:00:00.5+02:00",
    "2026-03-01T10:00:01",
    "2026-03-01",
)


def test_what_was_accepted_is_in_silver(
    make_lakehouse: Callable[..., Lakehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_API_WRITE_KEYS", WRITE)
    monkeypatch.setenv("LAKEHOUSE_API_READ_KEYS", READ)
    lake = make_lakehouse("delta", "domain=finance")
    sent = [transaction(n, transaction_ts=instant) for n, instant in enumerate(INSTANTS)]
    with served(make_app(load_config(lake.overrides))) as client:
        answer = client.post("/api/v1/ingest/batch", json=[*sent, transaction("9", amount="0.005")])
        assert answer.status_code == 202, answer.text

    assert lake.run("tables=[bronze.transactions,silver.transactions]").status == 0
    assert lake.quarantined("transactions") == []
    rows = lake.table("silver.transactions").to_pylist()
    at = [
        datetime(2026, 3, 1, 10, tzinfo=UTC),
        datetime(2026, 3, 1, 10, 0, 0, 500_000, tzinfo=UTC),
        datetime(2026, 3, 1, 10, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 0, tzinfo=UTC),
    ]
    found = {row["transaction_id"]: row["transaction_ts"] for row in rows}
    assert [found[f"t{n}"] for n in range(len(at))] == at
    assert str({row["transaction_id"]: row["amount"] for row in rows}["t9"]) == "0.01"
