"""Which ids were accepted, in which file each is, and which files wait for bronze."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from storage.errors import StorageDeniedError

NAME = "index.sqlite"
LAYOUT = 1
"""Of the tables below; an index of another layout is rebuilt."""
DIGITS = 12
"""Of a file's SHA-256, by which a batch names it."""
_TABLES = """
create table files (
  number integer primary key, name text not null unique, sha256 text not null, rows integer not null,
  state text not null
);
create table ids (id text primary key, file integer not null) without rowid;
"""
_SYNCED = "pragma synchronous=full"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sealed:
    """A file of accepted records in the landing folder."""

    name: str
    sha256: str
    rows: int


@dataclass(frozen=True)
class SegmentOutcomes:
    """What became of sealed segments.

    Attributes:
        taken: Names of those that bronze has.
        rejected: The first `DIGITS` of the SHA-256 of those that a person rejected, taken or not.
    """

    taken: Collection[str] = ()
    rejected: Collection[str] = ()


class Index:
    """An SQLite database beside the files. It can be made from them, and is where it is not usable.

    Raises:
        StorageDeniedError: It cannot be opened.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path, files: Iterable[tuple[Sealed, Sequence[str]]]) -> Self:
        """Open the index; `files`, with the ids in each, are read only where it has to be made."""
        try:
            return cls(_usable(path) or _made(path, files))
        except sqlite3.OperationalError as error:
            raise StorageDeniedError(
                f"{path} cannot be opened: {error}",
                advice="Give this user write access to it, and room on the disk.",
            ) from error

    def known(self, record_id: str) -> bool:
        """Whether a record of this id was accepted before, in a file that was not rejected."""
        found = self._connection.execute("select 1 from ids where id = ?", (record_id,))
        return found.fetchone() is not None

    def add(self, file: Sealed, ids: Iterable[str]) -> None:
        """Note a file; once more where it was noted before a kill."""
        with self._connection:
            _add(self._connection, file, ids)

    def waiting(self) -> list[Sealed]:
        """The files that bronze is not known to have."""
        found = self._connection.execute(
            "select name, sha256, rows from files where state = 'waiting' order by name"
        )
        return [Sealed(*row) for row in found]

    def note_outcomes(self, outcomes: SegmentOutcomes) -> None:
        """Note what became of files; the ids of a rejected one may be sent again."""
        with self._connection:
            self._connection.executemany(
                "update files set state = 'taken' where name = ? and state = 'waiting'",
                [(name,) for name in outcomes.taken],
            )
            if outcomes.rejected:
                self._reject(outcomes.rejected)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _reject(self, digits: Collection[str]) -> None:
        self._connection.create_function("is_rejected", 1, lambda sha: sha[:DIGITS] in digits)
        found = self._connection.execute(
            "update files set state = 'rejected' where state <> 'rejected' and is_rejected(sha256) "
            "returning number"
        ).fetchall()
        self._connection.executemany("delete from ids where file = ?", found)


def _usable(path: Path) -> sqlite3.Connection | None:
    """The database where it has these tables and is whole."""
    if not path.exists():
        return None
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute(_SYNCED)
        (layout,) = connection.execute("pragma user_version").fetchone()
        if layout == LAYOUT and connection.execute("pragma quick_check").fetchone() == ("ok",):
            return connection
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError as error:
        _LOG.warning("%s is damaged: %s", path, error)
    connection.close()
    return None


def _made(path: Path, files: Iterable[tuple[Sealed, Sequence[str]]]) -> sqlite3.Connection:
    """A new database, complete or not there: a kill half-way leaves one without a layout."""
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.executescript(f"{_SYNCED}; pragma journal_mode=wal; {_TABLES}")
    with connection:
        for file, ids in files:
            _add(connection, file, ids)
        connection.execute(f"pragma user_version={LAYOUT}")
    return connection


def _add(connection: sqlite3.Connection, file: Sealed, ids: Iterable[str]) -> None:
    """An id that was in a rejected file before belongs to the newer one."""
    ((number,),) = connection.execute(
        "insert into files (name, sha256, rows, state) values (?, ?, ?, 'waiting') on conflict (name) "
        "do update set sha256 = excluded.sha256, rows = excluded.rows returning number",
        (file.name, file.sha256, file.rows),
    ).fetchall()
    connection.executemany("insert or replace into ids values (?, ?)", [(i, number) for i in ids])
