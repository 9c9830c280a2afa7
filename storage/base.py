"""The interface through which everything else sees tables; `storage.adapter` has what formats share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from storage.errors import (
    CommitConflictError,
    DuplicateKeyError,
    TerminalError,
    VersionNotFoundError,
)
from storage.evolution import Change
from storage.parquet_reading import spark_rows
from storage.plans import MergePlan
from storage.sql import quote
from storage.types import (
    Commit,
    CommitRecord,
    Snapshot,
    TableRef,
    TableStats,
    Version,
    lineage,
)

TOKEN_MEMORY = 100
"""How many commits back a repeated token is recognised."""


class TableStore(ABC):
    """Tables of a lake.

    A store belongs to one Spark session, because the formats take a commit's metadata from session
    settings: use one store per task, made with `newSession()`. Every write is skipped when its token was
    committed before. A write that names the version that it was checked against, `expected`, is made on
    that version or not at all: `CommitConflictError` says that another writer was there first. Only a
    write that does not depend on earlier rows, such as a line of a report, names none.
    """

    def __init__(self, session: SparkSession | None) -> None:
        self._session = session

    @property
    def session(self) -> SparkSession:
        """The Spark session; a store made without one reads metadata and small tables only.

        Raises:
            TerminalError: The store was made without a session.
        """
        if self._session is None:
            raise TerminalError("this needs Spark, but the store was made without a session")
        return self._session

    @property
    def has_session(self) -> bool:
        """Whether the store was made with a Spark session."""
        return self._session is not None

    def query(self, text: str) -> DataFrame:
        """The result of a query over the views of the session."""
        return self.session.sql(text)

    def rows_of(self, *folders: str | Path) -> DataFrame:
        """The rows of folders that Spark wrote with equal columns; no table of the lake."""
        return spark_rows(self.session, *folders)

    def materialised(self, rows: DataFrame, folder: str | Path) -> DataFrame:
        """The rows, computed once into a folder and read from there."""
        rows.write.mode("overwrite").parquet(str(folder))
        return self.rows_of(folder)

    @abstractmethod
    def format_of(self, ref: TableRef) -> str:
        """Name of the format that the table has, or would be created in."""

    # -- tables ---------------------------------------------------------------------------------

    @abstractmethod
    def exists(self, ref: TableRef) -> bool:
        """Whether the table exists."""

    @abstractmethod
    def columns(self, ref: TableRef, at: Version | None = None) -> pa.Schema:
        """Names and types of the table's columns, now or as a version was written, from its metadata.

        Raises:
            VersionNotFoundError: No such version is retained.
        """

    @abstractmethod
    def create(
        self,
        ref: TableRef,
        schema: StructType,
        *,
        partition_by: Sequence[str] = (),
        track_changes: bool = False,
    ) -> None:
        """Create the table; nothing happens where it exists with the same columns.

        Args:
            ref: The table.
            schema: Columns and types; nullability is not enforced by the format.
            partition_by: Identity partition columns.
            track_changes: Make `added` readable, at the price of slower merges.

        Raises:
            TableExistsError: It exists with other columns or types.
        """

    @abstractmethod
    def evolve(self, ref: TableRef, changes: Sequence[Change]) -> tuple[Change, ...]:
        """Add columns, widen types or allow nulls; rows and positions stay.

        The newest commit record is carried on as a checkpoint commit, so that readers see nothing new.
        A repeat, also after a kill half-way, makes what is left. `storage.evolution.compare` gives
        the changes that lead to wanted columns.

        Returns:
            The changes that were made; those that the table had already are left out.

        Raises:
            IncompatibleSchemaError: A change does not fit the table's columns; none is made.
            CommitLostError: The change was acknowledged, but the table does not have it.
        """

    @abstractmethod
    def drop(self, ref: TableRef) -> None:
        """Remove the table and its files; nothing happens where it does not exist."""

    @abstractmethod
    def tables(self, database: str) -> list[str]:
        """Names of the database's tables, sorted."""

    # -- reading --------------------------------------------------------------------------------

    @abstractmethod
    def read(self, ref: TableRef, at: Version | None = None) -> DataFrame:
        """The table's rows, now or at a version.

        Raises:
            TableNotFoundError: No such table.
            VersionNotFoundError: No such version is retained.
        """

    @abstractmethod
    def added(self, ref: TableRef, after: Version, until: Version) -> DataFrame:
        """The rows that the appends after `after`, up to and including `until`, have added.

        To be asked of tables whose rows are only ever added; what another commit made of rows is not told.

        Raises:
            ChangesNotTrackedError: The table was not created with `track_changes`, and its format needs it.
            VersionNotFoundError: A version is not retained, or `until` is before `after`.
        """

    @abstractmethod
    def obstacle(self, ref: TableRef) -> str | None:
        """The table feature for which only Spark reads the table rightly; None where Arrow may."""

    @abstractmethod
    def read_arrow(self, ref: TableRef) -> pa.Table:
        """The table's current rows, read without Spark.

        Raises:
            UnsafeReadError: The table has a feature that the reader lacks.
        """

    @abstractmethod
    def scan_arrow(
        self,
        ref: TableRef,
        at: Version,
        *,
        columns: Sequence[str],
        where: pc.Expression | None = None,
    ) -> pa.RecordBatchReader:
        """Columns of the rows of a version that satisfy a condition, batch by batch and without Spark.

        Raises:
            UnsafeReadError: The table has a feature that the reader lacks.
            VersionNotFoundError: No such version is retained.
        """

    @abstractmethod
    def history(self, ref: TableRef, limit: int | None = None) -> list[Snapshot]:
        """The table's commits, newest first."""

    @abstractmethod
    def stats(self, ref: TableRef) -> TableStats:
        """Rows, files and bytes of the current version, from the log alone."""

    def head(self, ref: TableRef) -> Snapshot:
        """The current version, with the newest commit record at or below it."""
        newest = self.history(ref, limit=1)[0]
        if newest.record is not None:
            return newest
        for entry in self.history(ref):
            if entry.record is not None:
                return Snapshot(newest.version, newest.committed_at, newest.operation, entry.record)
        return newest

    def version(self, ref: TableRef) -> Version:
        """The current version."""
        return self.history(ref, limit=1)[0].version

    def lineage(self, ref: TableRef, at: Version | None = None) -> list[Snapshot]:
        """The commits behind the table's rows, now or at a version, newest first.

        Commits that a rollback undid are left out.

        Raises:
            VersionNotFoundError: `at` is not in the retained history.
        """
        history = self.history(ref)
        return list(lineage(history if at is None else history[place_of(ref, history, at) :]))

    def since(self, ref: TableRef, after: Version | None) -> list[Snapshot]:
        """Commits behind the table's rows that are not behind those of `after`, oldest first.

        Commits that a rollback undid are left out. The rollback itself is among them only where it undid
        `after`: then rows that were there at `after` may be gone.

        Raises:
            VersionNotFoundError: `after` is not in the retained history.
        """
        history = self.history(ref)
        current = list(lineage(history))[::-1]
        if after is None:
            return [entry for entry in current if entry.restored is None]
        seen = {entry.version for entry in lineage(history[place_of(ref, history, after) :])}
        undone = all(entry.version != after for entry in current)
        newer = [entry for entry in current if entry.version not in seen]
        return [entry for entry in newer if undone or entry.restored is None]

    # -- writing --------------------------------------------------------------------------------

    @abstractmethod
    def append(
        self,
        ref: TableRef,
        rows: DataFrame,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        """Add rows in one commit; a token committed before writes nothing."""

    @abstractmethod
    def append_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> Commit:
        """Add rows without Spark, for small tables of the platform itself; creates the table."""

    @abstractmethod
    def overwrite_arrow(
        self, ref: TableRef, rows: pa.Table, record: CommitRecord, *, expected: Version
    ) -> Commit:
        """Replace all rows without Spark, for small tables of the platform itself."""

    @abstractmethod
    def merge(
        self,
        ref: TableRef,
        rows: DataFrame,
        plan: MergePlan,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        """Run a merge plan in one commit.

        Raises:
            DuplicateKeyError: `rows` holds a merge key more than once.
        """

    @abstractmethod
    def overwrite(
        self,
        ref: TableRef,
        rows: DataFrame,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        """Replace all rows in one commit."""

    @abstractmethod
    def replace(
        self,
        ref: TableRef,
        rows: DataFrame,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        """Replace all rows, and the columns by those of `rows`, in one commit.

        History, properties and those partition columns that are still there stay. The rows added
        over such a commit are not to be read.

        Raises:
            CommitLostError: The rows were acknowledged, but the table has other columns.
        """

    @abstractmethod
    def delete(
        self, ref: TableRef, where: str, record: CommitRecord, *, expected: Version | None = None
    ) -> Commit:
        """Delete the rows that satisfy `where` in one commit."""

    @abstractmethod
    def checkpoint(
        self, ref: TableRef, record: CommitRecord, *, expected: Version | None = None
    ) -> Commit:
        """Commit a record without changing a row: what was consumed held nothing to publish."""

    @abstractmethod
    def rollback(
        self, ref: TableRef, to: Version, record: CommitRecord, *, expected: Version | None = None
    ) -> Commit:
        """Make an earlier version current again, as a new commit that carries `record`.

        A note in the record names the version, so that the commits between are known to be undone: their
        tokens do not count as committed any more.

        Raises:
            VersionNotFoundError: No such version is retained.
        """

    def find(self, ref: TableRef, token: str) -> Snapshot | None:
        """The commit that carries the token and was not undone, among the newest `TOKEN_MEMORY`."""
        for entry in lineage(self.history(ref, limit=TOKEN_MEMORY)):
            if entry.record is not None and entry.record.token == token:
                return entry
        return None


def place_of(ref: TableRef, history: Sequence[Snapshot], version: Version) -> int:
    """Where a version stands in a history."""
    for place, entry in enumerate(history):
        if entry.version == version:
            return place
    raise VersionNotFoundError(
        f"{ref.label}: version {version} is not in the retained history",
        advice=f"See the versions: lakehouse show {ref.label} domain={ref.domain}. "
        f"Where a run says this, rebuild what reads it: lakehouse rebuild domain={ref.domain}",
    )


def refuse_duplicates(ref: TableRef, rows: DataFrame, keys: Sequence[str]) -> None:
    """Refuse rows that would give a table a key twice.

    Raises:
        DuplicateKeyError: The message names one such key.
    """
    doubled = rows.groupBy(*map(quote, keys)).count().where("count > 1").limit(1).collect()
    if doubled:
        key = ", ".join(f"{k}={doubled[0][k]!r}" for k in keys)
        raise DuplicateKeyError(
            f"{ref.label}: the rows to write hold the key {key} {doubled[0]['count']} times"
        )


def other_version(ref: TableRef, found: Version, expected: Version | None) -> CommitConflictError:
    """The error of a write that was checked against another version than the table has."""
    return CommitConflictError(
        f"{ref.label}: the table is at version {found}, but what was to be written was checked against "
        f"version {expected}, so nothing is written",
        advice="Run again: the rows are then staged and checked against the table as it is now.",
    )
