"""Which ids were accepted, in which file each is, and which files wait for bronze."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

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

    Args:
        path: Where it is.
        files: The files, with the ids in each; read only where it has to be made.

    Raises:
        StorageDeniedError: It cannot be opened.
    """

    def __init__(self, path: Path, files: Iterable[tuple[Sealed, Collection[str]]]) -> None:
        try:
            usable = _is_usable(path)
            if not usable:
                for ending in ("", "-wal", "-shm"):
                    path.with_name(path.name + ending).unlink(missing_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False)
            self._connection.execute("pragma synchronous=full")
            if not usable:
                self._make(files)
        except sqlite3.OperationalError as error:
            raise StorageDeniedError(
                f"{path} cannot be opened: {error}",
                advice="Give this user write access to it, and room on the disk.",
            ) from error

    def known(self, record_id: str) -> bool:
        """Whether a record of this id was accepted before, in a file that was not rejected."""
        found = self._connection.execute("select 1 from ids where id = ?", (record_id,))
        return found.fetchone() is not None

    def add(self, file: Sealed, ids: Collection[str]) -> None:
        """Note a file; once more where it was noted before a kill."""
        with self._connection:
            self._add(file, ids)

    def waiting(self) -> list[Sealed]:
        """The files that bronze is not known to have."""
        found = self._connection.execute(
            "select name, sha256, rows from files where state = 'waiting' order by name"
        )
        return [Sealed(*row) for row in found]

    def note_outcomes(self, outcomes: SegmentOutcomes) -> None:
        """Note what became of files; the ids of a rejected one may be sent again."""
        taken, rejected = (json.dumps(list(s)) for s in (outcomes.taken, outcomes.rejected))
        with self._connection as connection:
            connection.execute(
                "update files set state = 'taken' where state = 'waiting' "
                "and name in (select value from json_each(?))",
                (taken,),
            )
            found = connection.execute(
                "update files set state = 'rejected' where state <> 'rejected' "
                "and substr(sha256, 1, ?) in (select value from json_each(?)) returning number",
                (DIGITS, rejected),
            ).fetchall()
            connection.executemany("delete from ids where file = ?", found)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def _make(self, files: Iterable[tuple[Sealed, Collection[str]]]) -> None:
        """Fill a new database. A kill half-way leaves one without a layout."""
        self._connection.executescript(f"pragma journal_mode=wal; {_TABLES}")
        with self._connection as connection:
            for file, ids in files:
                self._add(file, ids)
            connection.execute(f"pragma user_version={LAYOUT}")

    def _add(self, file: Sealed, ids: Collection[str]) -> None:
        """An id that was in a rejected file before belongs to the newer one."""
        ((number,),) = self._connection.execute(
            "insert into files (name, sha256, rows, state) values (?, ?, ?, 'waiting') on conflict (name) "
            "do update set sha256 = excluded.sha256, rows = excluded.rows returning number",
            (file.name, file.sha256, file.rows),
        ).fetchall()
        rows = ((i, number) for i in ids)
        self._connection.executemany("insert or replace into ids values (?, ?)", rows)


def _is_usable(path: Path) -> bool:
    """Whether the database has these tables and is whole."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            pragmas = ("pragma user_version", "pragma quick_check")
            found = [connection.execute(pragma).fetchone() for pragma in pragmas]
            return found == [(LAYOUT,), ("ok",)]
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            _LOG.warning("%s is damaged: %s", path, error)
            return False
