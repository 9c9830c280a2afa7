"""Reading without Spark: the same rows as Spark, or a refusal that names the feature in the way."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession

from storage.base import TableStore
from storage.errors import UnsafeReadError
from storage.formats import formats_for
from storage.formats.delta.store import DeltaStore
from storage.registry import Lake
from storage.types import TableRef
from tests.conftest import MakeLake
from tests.sessions import adapter_of

NUMBERS = count(1)


@pytest.fixture
def make_table(
    make_lake: MakeLake, spark: SparkSession
) -> Callable[..., tuple[TableStore, TableRef]]:
    """A table made by plain SQL, as another program would, with three rows and a statement after them."""

    def make(
        kind: str, properties: dict[str, str], columns: str = "id BIGINT, n INT", after: str = ""
    ) -> tuple[TableStore, TableRef]:
        store = adapter_of(make_lake(kind), spark)
        ref = TableRef("shop", "silver", f"t{next(NUMBERS)}")
        name = cast("Any", store)._name(ref)
        run = store.session.sql
        listed = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
        if kind == "iceberg":
            run(f"CREATE NAMESPACE IF NOT EXISTS lakehouse.{ref.database}")
        run(f"CREATE TABLE {name} ({columns}) USING {kind} TBLPROPERTIES ({listed or chr(39)*2})"
            if listed else f"CREATE TABLE {name} ({columns}) USING {kind}")  # fmt: skip
        run(f"INSERT INTO {name} SELECT /*+ COALESCE(1) */ id, CAST(id * 10 AS INT) FROM range(3)")
        if after:
            run(after.format(name))
        return store, ref

    return make


def by_spark(store: TableStore, ref: TableRef) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in store.read(ref).collect())


def by_arrow(store: TableStore, ref: TableRef) -> list[tuple[Any, ...]]:
    return sorted(tuple(row.values()) for row in store.read_arrow(ref).to_pylist())


DELTA_FEATURES = {
    "column mapping by name": (
        {"delta.columnMapping.mode": "name"}, "", "column mapping (name)",
    ),
    "a renamed column": (
        {"delta.columnMapping.mode": "name"},
        "ALTER TABLE {} RENAME COLUMN n TO m", "column mapping (name)",
    ),
    "deletion vectors": (
        {"delta.enableDeletionVectors": "true"}, "DELETE FROM {} WHERE id = 1", "deletion vectors",
    ),
    "deletion vectors, none written yet": (
        {"delta.enableDeletionVectors": "true"}, "", "deletion vectors",
    ),
    "type widening": (
        {"delta.enableTypeWidening": "true"},
        "ALTER TABLE {} CHANGE COLUMN n TYPE BIGINT", "type widening",
    ),
    "a feature unknown to the allow-list": (
        {"delta.checkpointPolicy": "v2"}, "", "v2Checkpoint",
    ),
}  # fmt: skip

ICEBERG_FEATURES = {
    "delete files": (
        {"format-version": "2", "write.delete.mode": "merge-on-read"},
        "DELETE FROM {} WHERE id = 1", "1 delete files",
    ),
    "format version 3": ({"format-version": "3"}, "", "format version 3"),
    "deletion vectors of version 3": (
        {"format-version": "3", "write.delete.mode": "merge-on-read"},
        "DELETE FROM {} WHERE id = 1", "format version 3",
    ),
}  # fmt: skip

FEATURES = [
    pytest.param(kind, *case, id=f"{kind}: {name}")
    for kind, cases in (("delta", DELTA_FEATURES), ("iceberg", ICEBERG_FEATURES))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("kind", "properties", "after", "obstacle"), FEATURES)
def test_a_feature_that_the_reader_lacks_is_named_and_refused(
    make_table: Callable[..., tuple[TableStore, TableRef]],
    kind: str,
    properties: dict[str, str],
    after: str,
    obstacle: str,
) -> None:
    store, ref = make_table(kind, properties, after=after)
    assert store.obstacle(ref) == obstacle
    with pytest.raises(UnsafeReadError) as caught:
        store.read_arrow(ref)
    assert obstacle in caught.value.message
    rows = by_spark(store, ref)
    assert rows == [(0, 0), (2, 20)] if "DELETE" in after else [(0, 0), (1, 10), (2, 20)]
    assert store.stats(ref).rows == len(rows)


def test_the_reader_alone_answers_with_nulls_for_mapped_columns(
    make_table: Callable[..., tuple[TableStore, TableRef]],
) -> None:
    """The reason for the check; when this fails, the reader has learnt column mapping."""
    store, ref = make_table("delta", {"delta.columnMapping.mode": "name"})
    table = cast("DeltaStore", store)._open(ref).to_pyarrow_table()
    assert table.to_pylist() == [{"id": None, "n": None}] * 3


PLAIN = [
    pytest.param("delta", {}, "", id="delta: plain"),
    pytest.param("delta", {}, "DELETE FROM {} WHERE id = 1", id="delta: rewritten files"),
    pytest.param("delta", {"delta.enableChangeDataFeed": "true"}, "UPDATE {} SET n = 1",
                 id="delta: change feed"),
    pytest.param("delta", {"delta.feature.timestampNtz": "supported"}, "",
                 id="delta: timestamps without zone"),
    pytest.param("delta", {"delta.enableRowTracking": "true"}, "", id="delta: row tracking"),
    pytest.param("delta", {"delta.appendOnly": "true"}, "", id="delta: append only"),
    pytest.param("delta", {}, "ALTER TABLE {} ADD COLUMN late STRING", id="delta: a later column"),
    pytest.param("iceberg", {"format-version": "1"}, "", id="iceberg: version 1"),
    pytest.param("iceberg", {"format-version": "2"}, "DELETE FROM {} WHERE id = 1",
                 id="iceberg: rewritten files"),
    pytest.param("iceberg", {}, "ALTER TABLE {} RENAME COLUMN n TO m", id="iceberg: renamed"),
    pytest.param("iceberg", {}, "ALTER TABLE {} ALTER COLUMN n TYPE BIGINT", id="iceberg: widened"),
    pytest.param("iceberg", {}, "ALTER TABLE {} ADD COLUMN late STRING", id="iceberg: later column"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "properties", "after"), PLAIN)
def test_plain_tables_give_the_same_rows_without_spark(
    make_table: Callable[..., tuple[TableStore, TableRef]],
    kind: str,
    properties: dict[str, str],
    after: str,
) -> None:
    store, ref = make_table(kind, properties, after=after)
    assert store.obstacle(ref) is None
    rows = by_arrow(store, ref)
    assert rows
    assert rows == by_spark(store, ref)
    assert store.read_arrow(ref).column_names == store.read(ref).columns
    assert store.stats(ref).rows == len(rows)


@pytest.mark.parametrize("kind", formats_for())
def test_the_platforms_own_tables_have_no_obstacle(
    make_lake: MakeLake, spark: SparkSession, kind: str
) -> None:
    lake: Lake = make_lake(kind)
    store, ref = lake.store(spark), TableRef("shop", "silver", "own")
    schema = spark.sql("SELECT 1L AS id, TIMESTAMP'2018-01-01' AS at, 1.25BD AS money").schema
    store.create(ref, schema, partition_by=["id"], track_changes=True)
    assert lake.store(None).obstacle(ref) is None
    assert lake.store(None).read_arrow(ref).num_rows == 0
