"""Why local writes take a lock: without it Delta loses a commit that it has acknowledged.

On a local disk Delta asks whether the next version exists and then renames its file to it. Two processes
that both ask before either renames are both told that the version is theirs; the later rename replaces the
earlier commit. By chance that is rare (one in thousands of contended commits), so a file system that waits
between the question and the rename makes it certain. Nothing else is changed: the log store is Delta's
default, and both writers are the adapter's own. Delta's lock inside one JVM is off, as it would not reach
another process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession

from storage.base import TableStore
from storage.errors import CommitLostError, TransientError
from storage.formats.delta.store import DeltaStore
from storage.lake_store import LakeStore
from storage.registry import Lake
from storage.schemas import schema
from storage.types import CommitRecord, TableRef
from tests.conftest import MakeLake
from tests.sessions import adapter_of

REF = TableRef("shop", "silver", "orders")
SCHEMA = schema([("writer", "bigint")])
ATTEMPTS = 5
PATIENCE_MS = 3_000

# Waits at the rename of a commit until the other writer has come as far, but not for ever.
MEETING_FILE_SYSTEM = """
package lakehouse.test;

import java.io.IOException;
import java.net.URI;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;

public class Meeting extends DelegateToFileSystem {
  static final CyclicBarrier BOTH = new CyclicBarrier(2);

  public static class Files extends RawLocalFileSystem {
    public boolean rename(Path from, Path to) throws IOException {
      if (to.getName().endsWith(".json")) {
        try {
          BOTH.await(%d, TimeUnit.MILLISECONDS);
        } catch (Exception alone) {
          // The other writer does not come: it waits for the lock.
        }
      }
      return super.rename(from, to);
    }
  }

  public Meeting(URI uri, Configuration conf) throws Exception {
    super(uri, new Files(), conf, "file", false);
  }
}
"""

Arm = Callable[[TableStore], TableStore]


@pytest.fixture
def meeting(spark: SparkSession) -> Iterator[Arm]:
    """Makes the commits of a store's session go through the file system above."""
    jvm = cast("Any", spark.sparkContext._jvm)
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.setParentClassLoader(jvm.Thread.currentThread().getContextClassLoader())
    compiler.cook(MEETING_FILE_SYSTEM % PATIENCE_MS)
    hadoop = cast("Any", spark.sparkContext)._jsc.hadoopConfiguration()
    before = hadoop.getClassLoader()
    hadoop.setClassLoader(compiler.getClassLoader())

    def arm(store: TableStore) -> TableStore:
        store.session.conf.set("fs.AbstractFileSystem.file.impl", "lakehouse.test.Meeting")
        store.session.conf.set("spark.databricks.delta.commitLock.enabled", "false")
        return store

    yield arm
    hadoop.setClassLoader(before)


@pytest.fixture
def lake(make_lake: MakeLake, spark: SparkSession) -> Lake:
    made = make_lake("delta")
    made.store(spark).create(REF, SCHEMA)
    return made


def at_once(stores: list[TableStore], write: Callable[[TableStore, int], object]) -> list[object]:
    """What each writer was told: a result, or the error it met."""

    def attempt(number: int) -> object:
        try:
            return write(stores[number], number)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            return error

    with ThreadPoolExecutor(len(stores)) as pool:
        return list(pool.map(attempt, range(len(stores))))


def written(store: TableStore) -> set[int]:
    return {row.writer for row in store.read(REF).collect()}


def rows(store: TableStore, number: int) -> Any:
    return store.session.sql(f"SELECT CAST({number} AS BIGINT) AS writer")


def record(number: int) -> CommitRecord:
    return CommitRecord("run", f"writer {number}")


def test_without_the_lock_an_acknowledged_commit_is_lost(
    lake: Lake, spark: SparkSession, meeting: Arm
) -> None:
    stores = [meeting(lake.store(spark)) for _ in range(2)]

    def unlocked(store: TableStore, number: int) -> str:
        cast("LakeStore", store).adapter("delta")._append(REF, rows(store, number), record(number))
        return "acknowledged"

    acknowledged = 0
    for _ in range(ATTEMPTS):
        before = len(stores[0].history(REF))
        told = at_once(stores, unlocked)
        assert told == ["acknowledged", "acknowledged"]
        acknowledged += len(told)
        if len(stores[0].history(REF)) == before + 1:
            break
    else:
        pytest.fail(f"the writers did not meet in {ATTEMPTS} attempts")
    kept = lake.store(spark).read(REF).count()
    assert kept == acknowledged - 1, "two writers were told yes, and the rows of one are gone"


def test_with_the_lock_both_commits_are_kept(lake: Lake, spark: SparkSession, meeting: Arm) -> None:
    stores = [meeting(lake.store(spark)) for _ in range(2)]
    told = at_once(stores, lambda s, n: s.append(REF, rows(s, n), record(n)).version)
    assert sorted(map(str, told)) == ["1", "2"]
    assert written(lake.store(spark)) == {0, 1}
    tokens = [e.record.token for e in stores[0].since(REF, None) if e.record]
    assert sorted(tokens) == ["writer 0", "writer 1"]


def overwritten_by_another(store: DeltaStore) -> None:
    """Do to the newest commit what a writer without the lock does: put its own in the place."""
    log = store.location(REF) / "_delta_log"
    newest = max(log.glob("*.json"))
    lines = [json.loads(line) for line in newest.read_text().splitlines()]
    for line in lines:
        if "commitInfo" in line:
            line["commitInfo"]["userMetadata"] = record(99).to_json()
    newest.write_text("\n".join(map(json.dumps, lines)) + "\n")
    Path(newest.parent, f".{newest.name}.crc").unlink(missing_ok=True)


def test_the_read_back_notices_a_commit_that_another_writer_replaced(
    lake: Lake, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = cast("DeltaStore", adapter_of(lake, spark))
    original = DeltaStore._append

    def append_and_lose(self: DeltaStore, *arguments: Any) -> None:
        original(self, *arguments)
        overwritten_by_another(self)

    monkeypatch.setattr(DeltaStore, "_append", append_and_lose)
    with pytest.raises(CommitLostError, match="append of writer 1 was acknowledged") as caught:
        store.append(REF, rows(store, 1), record(1))
    assert isinstance(caught.value, TransientError), (
        "the retry looks for its token and writes again"
    )
    monkeypatch.undo()
    assert not store.append(REF, rows(store, 1), record(1)).repeated
    found = store.head(REF).record
    assert found is not None
    assert found.token == "writer 1"
