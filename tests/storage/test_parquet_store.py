"""What the Parquet adapter has of its own: manifests, files that nobody names, refusals."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import cast

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from storage.errors import CommitConflictError, LakehouseError, TerminalError
from storage.formats.parquet.log import COMMITS, DATA, Log
from storage.formats.parquet.store import ORPHAN_SECONDS, ParquetStore
from storage.plans import upsert_plan
from storage.registry import Lake
from storage.spark.metrics import scans
from storage.types import CommitRecord, TableRef, Version
from tests.conftest import MakeLake
from tests.sessions import adapter_of

REF = TableRef("shop", "bronze", "orders")


def rows(*numbers: int) -> pa.Table:
    return pa.table({"id": pa.array(numbers, pa.int64())})


def record(token: str) -> CommitRecord:
    return CommitRecord("run", token)


@pytest.fixture
def lake(make_lake: MakeLake) -> Lake:
    return make_lake("delta", bronze="parquet")


@pytest.fixture
def store(lake: Lake) -> ParquetStore:
    """A store without Spark and a table of two commits."""
    store = cast("ParquetStore", adapter_of(lake, None, name="parquet"))
    store.append_arrow(REF, rows(1, 2), record("first"))
    store.append_arrow(REF, rows(3), record("second"))
    return store


def ids(store: ParquetStore) -> list[int]:
    return sorted(store.read_arrow(REF)["id"].to_pylist())


def test_a_manifest_says_what_its_commit_added(store: ParquetStore) -> None:
    folder = store.location(REF)
    created, first, second = Log(folder).manifests()
    assert [m.operation for m in (created, first, second)] == ["create", "append", "append"]
    (file,) = second.added
    assert (file.rows, file.bytes) == (1, (folder / file.path).stat().st_size)
    assert second.columns == {"id": "bigint"}
    assert second.base == 1
    assert CommitRecord.from_json(second.record) == record("second")


def test_a_lost_manifest_is_no_shorter_table(store: ParquetStore) -> None:
    folder = store.location(REF)
    lost = sorted((folder / "_commits").glob("*.json"))[1]
    lost.unlink()
    with pytest.raises(TerminalError, match=f"{lost.name} is missing, 000000000002.json is there"):
        store.read_arrow(REF)


def test_one_of_two_writers_of_a_version_is_refused(store: ParquetStore) -> None:
    log = Log(store.location(REF))
    newest, start = log.manifests()[-1], Barrier(8)

    def commit(number: int) -> str:
        start.wait(60)
        try:
            log.commit(replace(newest, version=3, base=2, added=(), record=f"{number}"))
        except CommitConflictError:
            return "refused"
        return str(number)

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(commit, range(8)))
    assert told.count("refused") == 7
    (won,) = (one for one in told if one != "refused")
    assert log.manifests()[3].record == won


def test_what_a_killed_write_leaves_is_never_seen(store: ParquetStore) -> None:
    folder = store.location(REF)
    orphan = folder / DATA / "killed"
    orphan.mkdir()
    (orphan / "part.parquet").write_bytes(b"half a file")
    (folder / COMMITS / ".half").write_text('{"version": 3, "comm')
    before = store.stats(REF)
    assert ids(store) == [1, 2, 3]
    assert [entry.version for entry in store.history(REF)] == ["2", "1", "0"]
    store.append_arrow(REF, rows(4), record("third"))
    assert orphan.exists(), "it may be of a writer that is only slow"
    assert store.stats(REF).rows == before.rows + 1
    old = time.time() - ORPHAN_SECONDS - 60
    os.utime(orphan, (old, old))
    for path in (folder / DATA).iterdir():
        os.utime(path, (old, old))
    store.append_arrow(REF, rows(5), record("fourth"))
    assert not orphan.exists()
    assert ids(store) == [1, 2, 3, 4, 5]


def test_a_write_that_dies_before_its_manifest_leaves_the_version(
    store: ParquetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Log, "commit", die)
    with pytest.raises(KeyboardInterrupt):
        store.append_arrow(REF, rows(4), record("third"))
    monkeypatch.undo()
    assert ids(store) == [1, 2, 3]
    assert not store.append_arrow(REF, rows(4), record("third")).repeated
    assert ids(store) == [1, 2, 3, 4]


def test_what_changes_rows_is_refused_with_the_reason(
    lake: Lake, spark: object, store: ParquetStore
) -> None:
    made = adapter_of(lake, spark, name="parquet")  # type: ignore[arg-type]
    frame = made.read(REF)
    plan = upsert_plan(["id"], ["id"], [])
    changing: dict[str, Callable[[], object]] = {
        "merge": lambda: made.merge(REF, frame, plan, record("m")),
        "overwrite": lambda: made.overwrite(REF, frame, record("o")),
        "replace": lambda: made.replace(REF, frame, record("r")),
        "delete": lambda: made.delete(REF, "id = 1", record("d")),
    }
    for name, write in changing.items():
        with pytest.raises(TerminalError, match=f"{name} changes rows.*only ever added") as caught:
            write()
        assert "delta or iceberg" in caught.value.advice
    assert ids(store) == [1, 2, 3]


def test_a_rollback_stands_on_the_version_that_it_restores(store: ParquetStore) -> None:
    store.rollback(REF, Version("1"), record("back"))
    assert ids(store) == [1, 2]
    store.append_arrow(REF, rows(7), record("after"))
    assert ids(store) == [1, 2, 7]
    assert [m.base for m in Log(store.location(REF)).manifests()] == [None, 0, 1, 1, 3]


def test_a_manifest_that_is_damaged_is_named(store: ParquetStore) -> None:
    file = store.location(REF) / COMMITS / "000000000002.json"
    file.write_text(json.dumps({"version": 2}))
    with pytest.raises(LakehouseError, match=r"000000000002\.json is damaged"):
        store.history(REF)


def test_a_lake_holds_each_layer_in_its_format(lake: Lake) -> None:
    store = lake.store(None)
    silver = TableRef("shop", "silver", "orders")
    store.append_arrow(REF, rows(1), record("b"))
    store.append_arrow(silver, rows(1), record("s"))
    assert {ref.label: store.format_of(ref) for ref in (REF, silver)} == {
        "bronze.orders": "parquet", "silver.orders": "delta"
    }  # fmt: skip
    assert store.tables("shop_bronze") == store.tables("shop_silver") == ["orders"]
    assert sorted(p.name for p in Path(lake.root).iterdir() if p.name[0] != "_") == [
        "delta", "parquet"
    ]  # fmt: skip


def test_what_many_commits_added_is_read_in_one_scan(
    lake: Lake, spark: SparkSession, store: ParquetStore
) -> None:
    """The plan of a table that is hundreds of commits behind is that of one that is two behind."""
    few = store.head(REF).version
    for number in range(4, 34):
        store.append_arrow(REF, rows(number), record(f"{number}"))
    reader = adapter_of(lake, spark, name="parquet")
    with scans(spark) as read:
        found = reader.added(REF, Version("0"), store.head(REF).version).collect()
        many = reader.added(REF, few, store.head(REF).version).collect()
    assert [sorted(row["id"] for row in some) for some in (found, many)] == [
        [*range(1, 34)],
        [*range(4, 34)],
    ]
    assert len([scan for scan in read if scan.files]) == 2
