"""How far a table has come, by the commits of its inputs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flows.runtime import Runtime
from storage.types import CommitRecord, TableRef, Version
from tasks.context import Context, RunInfo, has_changed, source_versions

ORDERS = TableRef("olist", "silver", "orders")
ROWS = pa.table({"id": ["a"]})
RUN = RunInfo("run-1", datetime(2024, 1, 1, tzinfo=UTC), "1.0")


@pytest.fixture(params=["delta", "iceberg"])
def context(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Context:
    return Runtime(make_config(request.param, tmp_path), RUN).context(spark=False)


def _append(context: Context, token: str, **notes: object) -> Version:
    record = CommitRecord("r", token, inputs={"bronze.orders": token}, notes=notes)
    return context.store.append_arrow(ORDERS, ROWS, record).version


def test_a_position_is_that_of_the_newest_commit(context: Context, make_config: Any) -> None:
    _append(context, "1")
    _append(context, "2")
    assert source_versions(context, ORDERS) == {"bronze.orders": "2"}
    context.run = RunInfo("run-2", RUN.started_at, "1.0", rebuild=True)
    assert source_versions(context, ORDERS) == {}


def test_a_table_has_moved_when_a_commit_changed_its_rows(context: Context) -> None:
    first = _append(context, "1")
    assert has_changed(context, ORDERS, None)
    assert not has_changed(context, ORDERS, first)
    marked = _append(context, "2", mark=True)
    assert not has_changed(context, ORDERS, first)
    second = _append(context, "3")
    assert has_changed(context, ORDERS, first)
    assert has_changed(context, ORDERS, marked)
    assert not has_changed(context, ORDERS, second)
