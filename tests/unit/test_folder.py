"""What keeps Spark and tables out of this folder does so."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.java_gateway import launch_gateway

from storage.base import TableStore
from storage.types import CommitRecord, TableRef
from tests.conftest import MakeLake
from tests.sessions import adapter_of

TABLE = TableRef("shop", "silver", "orders")
ROWS = pa.table({"id": ["a"]})
RECORD = CommitRecord("run-1", "t")


@pytest.mark.parametrize("name", ["delta", "iceberg", "parquet"])
@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.append_arrow(TABLE, ROWS, RECORD),
        lambda store: store.overwrite_arrow(TABLE, ROWS, RECORD, expected="0"),
        lambda store: store.drop(TABLE),
    ],
    ids=["append", "overwrite", "drop"],
)
def test_a_test_that_writes_a_table_fails(
    make_lake: MakeLake, name: str, write: Callable[[TableStore], object]
) -> None:
    store = adapter_of(make_lake(name), None)
    with pytest.raises(pytest.fail.Exception, match="writes no table"):
        write(store)


def test_a_test_that_launches_spark_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="starts no Spark"):
        launch_gateway()  # type: ignore[no-untyped-call]


def test_a_test_that_asks_for_the_session_fails(request: pytest.FixtureRequest) -> None:
    with pytest.raises(pytest.fail.Exception, match="starts no Spark"):
        request.getfixturevalue("spark")
