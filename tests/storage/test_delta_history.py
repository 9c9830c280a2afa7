"""Versions of a Delta table's commits, read while another process writes; nothing here needs Spark."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from storage.types import CommitRecord, TableRef
from tests.conftest import MakeLake

REF = TableRef("shop", "ops", "runs")
ROW = pa.table({"id": [1]})


def test_a_commit_between_opening_and_listing_does_not_shift_the_versions(
    make_lake: MakeLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = make_lake("delta").store(None), make_lake("delta").store(None)
    told = {store.append_arrow(REF, ROW, CommitRecord("r", t)).version: t for t in ("a", "b")}
    original, late = DeltaTable.history, ["c"]

    def history(self: DeltaTable, limit: int | None = None) -> Any:
        if late:
            token = late.pop()
            told[other.append_arrow(REF, ROW, CommitRecord("r", token)).version] = token
        return original(self, limit)

    monkeypatch.setattr(DeltaTable, "history", history)
    found = {e.version: e.record.token for e in store.history(REF) if e.record}
    assert found == told
