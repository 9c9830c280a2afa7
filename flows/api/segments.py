"""Files of accepted records: written and synced before they are acknowledged, whole before they are seen.

A segment grows in the inbox, a hidden folder of the landing folder, and moves to the landing folder when it
is sealed. The segments are the truth; the index of ids beside them can be made from them.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from storage.errors import ConfigurationError, StorageDeniedError

INBOX = ".inbox"
OPEN = ".part"
"""Ending of a segment that grows. Its name begins with a dot, so that no pattern of a source matches it."""
INDEX = "index.sqlite"
_TABLES = """
create table if not exists ids (id text primary key) without rowid;
create table if not exists files (name text primary key, sha256 text not null, rows integer not null)
without rowid;
"""


@dataclass(frozen=True)
class Record:
    """An accepted record: its id and its line of JSON."""

    id: str
    line: bytes


@dataclass(frozen=True)
class Sealed:
    """A segment in the landing folder, until bronze has it."""

    name: str
    sha256: str
    rows: int


class Segments:
    """The segments of one bronze table. One process and one thread at a time writes them.

    Args:
        landing: The landing folder.
        file: How the names of sealed segments begin.
        id_of: The id in a line, for segments that a process left behind.

    Raises:
        ConfigurationError: Another process serves the table.
        StorageDeniedError: The inbox cannot be written.
    """

    def __init__(self, landing: Path, file: str, id_of: Callable[[bytes], str]) -> None:
        self._landing, self._file, self._id_of = landing, file, id_of
        self._inbox = landing / INBOX / file
        try:
            self._inbox.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._inbox / "lock", thread_local=False)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigurationError(
                f"another process takes records into {self._inbox}",
                advice="Stop it, or send the records there: a table has one API.",
            ) from None
        except OSError as error:
            raise StorageDeniedError(
                f"{self._inbox} cannot be written: {error.strerror}",
                advice="Give this user write access to the landing folder.",
            ) from error
        self._index = sqlite3.connect(self._inbox / INDEX, check_same_thread=False)
        self._index.executescript(f"pragma journal_mode=wal; pragma synchronous=full; {_TABLES}")
        self._open: _Open | None = None
        self._recover()

    @property
    def open_rows(self) -> int:
        """Records of the segment that grows."""
        return self._open.rows if self._open else 0

    def known(self, record_id: str) -> bool:
        """Whether a record of this id was accepted before."""
        if self._open is not None and record_id in self._open.ids:
            return True
        found = self._index.execute("select 1 from ids where id = ?", (record_id,))
        return found.fetchone() is not None

    def write(self, records: Sequence[Record]) -> int:
        """Write the records that are new and sync them to the disk; how many these were.

        Raises:
            OSError: The disk did not take them; none of them stays.
        """
        fresh = {r.id: r for r in reversed(records) if not self.known(r.id)}
        if fresh:
            if self._open is None:
                self._open = _Open.new(self._inbox, self._file)
            self._open.write(list(fresh.values())[::-1])
        return len(fresh)

    def seal(self) -> None:
        """Move the segment that grows to the landing folder, where the next run finds it.

        Raises:
            OSError: It could not be moved, or `sqlite3.Error`: its ids could not be kept. It grows on.
        """
        part = self._open
        if part is None:
            return
        if part.rows:
            self._land(part.path, part.ids, part.digest.hexdigest(), part.rows)
        else:  # the disk took none of its records
            part.path.unlink()
        self._open = None
        part.close()
        _sync(self._landing)

    def sealed(self) -> list[Sealed]:
        """The segments that bronze is not known to have."""
        found = self._index.execute("select name, sha256, rows from files order by name")
        return [Sealed(*row) for row in found]

    def forget(self, names: Iterable[str]) -> None:
        """Note that these segments wait no longer; their ids stay known."""
        with self._index:
            self._index.executemany("delete from files where name = ?", [(n,) for n in names])

    def close(self) -> None:
        """Seal what is open and let another process write."""
        try:
            self.seal()
        finally:
            self._index.close()
            self._lock.release()

    def _recover(self) -> None:
        """Seal what a process left behind, without a last line that it never acknowledged."""
        for path in sorted(self._inbox.glob(f".*{OPEN}")):
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) < len(content):
                os.truncate(path, len(whole))
            lines = whole.splitlines()
            if not lines:
                path.unlink()
                continue
            digest = hashlib.sha256(whole).hexdigest()
            self._land(path, [self._id_of(line) for line in lines], digest, len(lines))
        _sync(self._landing)

    def _land(self, path: Path, ids: Iterable[str], sha256: str, rows: int) -> None:
        """Ids first: a kill in between leaves a segment that is landed again with the same name."""
        name = path.name.removeprefix(".").removesuffix(OPEN)
        with self._index:
            self._index.executemany("insert or ignore into ids values (?)", [(i,) for i in ids])
            self._index.execute(
                "insert or replace into files values (?, ?, ?)", (name, sha256, rows)
            )
        _sync(path)
        path.rename(self._landing / name)


class _Open:
    """The segment that grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids: set[str] = set()
        self.rows = 0
        self.digest = hashlib.sha256()
        self._size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        _sync(path.parent)

    @classmethod
    def new(cls, inbox: Path, file: str) -> _Open:
        return cls(inbox / f".{file}_{datetime.now(UTC):%Y%m%dT%H%M%S%f}.jsonl{OPEN}")

    def write(self, records: Sequence[Record]) -> None:
        data = b"".join(record.line + b"\n" for record in records)
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self.digest.update(data)
        self.ids.update(record.id for record in records)
        self.rows += len(records)

    def close(self) -> None:
        os.close(self._file)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
