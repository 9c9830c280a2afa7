"""A full disk and a folder without write permission: our errors, and nothing half-done to be seen.

The disk is a small one in memory that is really full, and the folder is really read-only. Where this user
may mount neither (both need root), the cases are skipped and say so; the reading of the messages is tested
all the same.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from storage.base import TableStore
from storage.errors import (
    LakehouseError,
    StorageDeniedError,
    StorageFullError,
    TerminalError,
    TransientError,
)
from storage.failures import translate
from storage.formats import formats_for
from storage.locks import Locks
from storage.plans import upsert_plan
from storage.schemas import schema
from storage.types import CommitRecord, TableRef, TableStats, Version
from tests.conftest import MakeLake

REF = TableRef("shop", "silver", "orders")
OPS = TableRef("shop", "ops", "runs")
COLUMNS = (("id", "bigint"), ("text", "string"))
NAMES = ["id", "text"]
SMALL = pa.table({"id": [1]})
BLOCK = 4096
DISK = "8m"
FREE_BLOCKS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24)


def record(token: str) -> CommitRecord:
    return CommitRecord("run", token)


def mount(*arguments: object) -> None:
    done = subprocess.run(
        ["mount", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")


def unmount(path: Path) -> None:
    # Lazily: Spark's catalog keeps its database open as long as its JVM lives.
    subprocess.run(["umount", "-l", str(path)], check=False, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder)
    yield folder
    unmount(folder)


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Takes the write permission from a folder; root keeps it whatever the mode, so a mount must."""
    done: list[Path] = []

    def freeze(folder: Path) -> None:
        if os.geteuid():
            subprocess.run(["chmod", "-R", "a-w", str(folder)], check=True)
        else:
            mount("--bind", folder, folder)
            done.append(folder)
            mount("-o", "remount,bind,ro", folder)

    yield freeze
    for folder in done:
        unmount(folder)
    subprocess.run(["chmod", "-R", "u+w", str(tmp_path)], check=False, capture_output=True)


class Disk:
    """A disk with a file on it that takes all but so many blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ballast = folder / "ballast"

    def leave(self, blocks: int) -> None:
        self.free()
        status = os.statvfs(self._folder)
        room = status.f_bavail * status.f_frsize - blocks * BLOCK
        with self._ballast.open("wb") as file:
            file.write(bytes(room))

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


def rows(store: TableStore, number: int) -> DataFrame:
    # Of more than a block, whatever the compression.
    return store.session.sql(
        f"SELECT CAST({number} AS BIGINT) AS id, "
        f"concat_ws('', transform(sequence(1, 200), x -> md5(concat({number}, '/', x)))) AS text"
    )


def seen(store: TableStore) -> tuple[list[int], list[Version], TableStats]:
    found = sorted(row.id for row in store.read(REF).select("id").collect())
    return found, [entry.version for entry in store.history(REF)], store.stats(REF)


@pytest.mark.parametrize("kind", formats_for())
def test_a_write_on_a_full_disk_is_whole_or_not_there(
    make_lake: MakeLake, spark: SparkSession, disk: Path, kind: str
) -> None:
    """At every amount of free room, the write either commits or leaves nothing to be seen."""
    store = make_lake(kind, disk / "lake").store(spark)
    store.create(REF, schema(COLUMNS))
    store.append(REF, rows(store, 0), record("before"))
    ballast, failed = Disk(disk), []
    for blocks in FREE_BLOCKS:
        before = seen(store)
        ballast.leave(blocks)
        token = f"with {blocks} blocks"
        try:
            store.append(REF, rows(store, blocks), record(token))
        except StorageFullError:
            failed.append(token)
            assert seen(store) == before
            assert store.find(REF, token) is None
        else:
            assert store.find(REF, token) is not None
        ballast.free()
    assert failed, "the disk was never full"
    for token in failed:
        assert not store.append(REF, rows(store, 99), record(token)).repeated
    assert len(seen(store)[0]) == len(FREE_BLOCKS) + 1


@pytest.mark.parametrize("kind", formats_for())
def test_other_writes_on_a_full_disk_fail_alike(
    make_lake: MakeLake, spark: SparkSession, disk: Path, kind: str
) -> None:
    store = make_lake(kind, disk / "lake").store(spark)
    store.create(REF, schema(COLUMNS))
    store.append(REF, rows(store, 1), record("before"))
    store.append_arrow(OPS, SMALL, record("arrow"))
    before, ballast = seen(store), Disk(disk)
    for name, write in writes(store).items():
        ballast.leave(1)
        with pytest.raises(StorageFullError, match="nothing of this write is visible") as caught:
            write(record(name))
        assert "Free disk space" in caught.value.advice
        ballast.free()
        assert seen(store) == before, name
        assert store.read_arrow(OPS).num_rows == 1


def writes(store: TableStore) -> dict[str, Callable[[CommitRecord], object]]:
    other = TableRef("shop", "silver", "another")
    plan = upsert_plan(["id"], NAMES, ["id"])
    source = rows(store, 7)
    return {
        "merge": lambda r: store.merge(REF, source, plan, r),
        "overwrite": lambda r: store.overwrite(REF, source, r),
        "append without Spark": lambda r: store.append_arrow(OPS, SMALL, r),
        "create": lambda r: store.create(other, schema(COLUMNS)),
    }


@pytest.mark.parametrize("kind", formats_for())
def test_a_lake_that_cannot_be_written_says_so(
    make_lake: MakeLake,
    spark: SparkSession,
    frozen: Callable[[Path], None],
    tmp_path: Path,
    kind: str,
) -> None:
    lake = make_lake(kind)
    store = lake.store(spark)
    store.create(REF, schema(COLUMNS))
    store.append(REF, rows(store, 1), record("before"))
    store.append_arrow(OPS, SMALL, record("arrow"))
    before = seen(store)
    frozen(
        lake.root / kind
    )  # the locks can still be taken, so that the tables themselves are tried
    denied = writes(store) | {
        "append": lambda r: store.append(REF, rows(store, 2), r),
        "delete": lambda r: store.delete(REF, "true", r),
        "checkpoint": lambda r: store.checkpoint(REF, r),
    }
    for name, write in denied.items():
        with pytest.raises(StorageDeniedError, match="no permission") as caught:
            write(record(name))
        assert "write access" in caught.value.advice
        assert seen(store) == before, name
        assert store.read_arrow(OPS).num_rows == 1


@pytest.mark.parametrize("part", ["", "tables"])
@pytest.mark.parametrize("kind", formats_for())
def test_a_process_that_starts_on_such_a_lake_is_told_and_can_read(
    make_lake: MakeLake, frozen: Callable[[Path], None], kind: str, part: str
) -> None:
    lake = make_lake(kind)
    lake.store(None).append_arrow(OPS, SMALL, record("arrow"))
    frozen(lake.root / kind if part else lake.root)
    store = lake.store(None)
    for write in (lambda: store.append_arrow(OPS, SMALL, record("a")), lambda: store.drop(OPS)):
        with pytest.raises(StorageDeniedError, match="no permission") as caught:
            write()
        assert "write access" in caught.value.advice
    assert store.read_arrow(OPS).num_rows == 1


@pytest.mark.parametrize("kind", formats_for())
def test_a_folder_in_which_no_lake_can_be_made_is_told(
    make_lake: MakeLake, frozen: Callable[[Path], None], tmp_path: Path, kind: str
) -> None:
    (tmp_path / "bare").mkdir()
    frozen(tmp_path / "bare")
    with pytest.raises(StorageDeniedError, match="bare"):
        make_lake(kind, tmp_path / "bare" / "lake").store(None).append_arrow(
            OPS, SMALL, record("a")
        )


# -- without Spark and mounts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EACCES, StorageDeniedError),
        (errno.EPERM, StorageDeniedError),
        (errno.EROFS, StorageDeniedError),
        (errno.EIO, TerminalError),
    ],
)
def test_a_lock_that_cannot_be_signed_is_told_and_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[LakehouseError]
) -> None:
    def refuse(self: Path, text: str) -> int:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "write_text", refuse)
    locks = Locks(tmp_path / "locks", timeout_seconds=0)
    for _ in range(2):  # the second would time out if the first had kept the lock
        with pytest.raises(kind, match="lock") as caught, locks.hold("table"):
            pytest.fail("an unsigned lock was given out")
        assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("java.io.IOException: No space left on device", StorageFullError),
        ("Generic LocalFileSystem error: No space left on device (os error 28)", StorageFullError),
        ("[SQLITE_FULL] Insertion failed (database or disk is full)", StorageFullError),
        ("write: Disk quota exceeded", StorageFullError),
        ("/lake/x: Permission denied", StorageDeniedError),
        ("mkdir: Read-only file system", StorageDeniedError),
        ("attempt to write a readonly database", StorageDeniedError),
        ("[SQLITE_BUSY] The database file is locked (database is locked)", TransientError),
        ("Connection reset by peer", TransientError),
        ("[UNRESOLVED_COLUMN] no such column", TerminalError),
    ],
)
def test_native_messages_become_our_errors(text: str, kind: type[LakehouseError]) -> None:
    for native in (OSError(text), PySparkException(message=text)):
        found = translate(REF, native)
        assert type(found) is kind
        assert found.message.startswith("silver.orders: ")
