"""What the adapters share: a write holds the lock, looks for its token first, and is read back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import ClassVar

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from storage.base import TOKEN_MEMORY, TableStore, other_version, place_of, refuse_duplicates
from storage.errors import CommitLostError, TableExistsError
from storage.evolution import Change, carried, remaining
from storage.locks import Locks
from storage.plans import MergePlan
from storage.schemas import arrow_schema, describe_difference, same_columns
from storage.sql import quote
from storage.types import (
    Commit,
    CommitRecord,
    Snapshot,
    TableRef,
    Version,
    lineage,
)


class FormatStore(TableStore):
    """Tables of one format in one lake.

    Every write holds the table's lock, is skipped when its token was committed before, and is read back
    from the table's log.
    """

    format: ClassVar[str]

    def __init__(self, session: SparkSession | None, locks: Locks) -> None:
        super().__init__(session)
        self._locks = locks
        self._expected: Version | None = None
        """The version that the write under way is made on; None where any will do."""

    def format_of(self, ref: TableRef) -> str:
        return self.format

    def locked(self, ref: TableRef) -> AbstractContextManager[None]:
        """Context in which no other process writes to the table, not even the JVM of a killed run."""
        return self._locks.hold(f"{self.format}.{ref.path}")

    def create(
        self,
        ref: TableRef,
        schema: StructType,
        *,
        partition_by: Sequence[str] = (),
        track_changes: bool = False,
    ) -> None:
        with self.locked(ref), self._translated(ref):
            if not self.exists(ref):
                self._locks.check_held()
                self._create(ref, schema, partition_by, track_changes=track_changes)
                return
            found, wanted = self.columns(ref), arrow_schema(schema)
            if not same_columns(found, wanted):
                raise TableExistsError(
                    f"{ref.label} exists with other columns: {describe_difference(found, wanted)}",
                    advice="Declare the columns as they were, or load into another lake: paths.lake=DIR",
                )

    @abstractmethod
    def _create(
        self,
        ref: TableRef,
        schema: StructType,
        partition_by: Sequence[str],
        *,
        track_changes: bool,
    ) -> None: ...

    def evolve(self, ref: TableRef, changes: Sequence[Change]) -> tuple[Change, ...]:
        with self.locked(ref), self._translated(ref):
            made = remaining(ref.label, self.columns(ref), changes)
            if made:
                self._locks.check_held()
                self._evolve(ref, made, carried(self.head(ref).record, made))
                if remaining(ref.label, self.columns(ref), made):
                    raise CommitLostError(f"{ref.label}: the columns were not changed")
            return made

    @abstractmethod
    def _evolve(
        self, ref: TableRef, changes: Sequence[Change], record: CommitRecord | None
    ) -> None: ...

    def append(
        self,
        ref: TableRef,
        rows: DataFrame,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        return self._write(ref, "append", record, lambda: self._append(ref, rows, record), expected)

    def append_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> Commit:
        with self._locks.hold(f"{self.format}.{ref.path}.create"):
            self._create_arrow(ref, rows.schema)
        return self._write(
            ref, "append", record, lambda: self._append_arrow(ref, rows, record), None
        )

    def overwrite_arrow(
        self, ref: TableRef, rows: pa.Table, record: CommitRecord, *, expected: Version
    ) -> Commit:
        return self._write(
            ref, "overwrite", record, lambda: self._overwrite_arrow(ref, rows, record), expected
        )

    def merge(
        self,
        ref: TableRef,
        rows: DataFrame,
        plan: MergePlan,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        def run() -> None:
            refuse_duplicates(ref, rows, plan.keys)
            self._merge(ref, rows.select(*map(quote, plan.source_columns)), plan, record)

        return self._write(ref, "merge", record, run, expected)

    def overwrite(
        self,
        ref: TableRef,
        rows: DataFrame,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        return self._write(
            ref, "overwrite", record, lambda: self._overwrite(ref, rows, record), expected
        )

    def replace(
        self,
        ref: TableRef,
        rows: DataFrame,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        def run() -> None:
            self._replace(ref, rows, record)
            if not same_columns(self.columns(ref), rows.schema):
                raise CommitLostError(f"{ref.label}: the columns were not replaced")

        return self._write(ref, "replace", record, run, expected)

    def delete(
        self, ref: TableRef, where: str, record: CommitRecord, *, expected: Version | None = None
    ) -> Commit:
        return self._write(
            ref, "delete", record, lambda: self._delete(ref, where, record), expected
        )

    def checkpoint(
        self, ref: TableRef, record: CommitRecord, *, expected: Version | None = None
    ) -> Commit:
        return self._write(
            ref, "checkpoint", record, lambda: self._checkpoint(ref, record), expected
        )

    def rollback(
        self, ref: TableRef, to: Version, record: CommitRecord, *, expected: Version | None = None
    ) -> Commit:
        def run() -> None:
            place_of(ref, self.history(ref), to)
            self._rollback(ref, to, noted)

        noted = record.as_rollback(to, of=self.version(ref))
        return self._write(ref, "rollback", noted, run, expected)

    @abstractmethod
    def _append(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None: ...

    @abstractmethod
    def _create_arrow(self, ref: TableRef, schema: pa.Schema) -> None: ...

    @abstractmethod
    def _append_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> None: ...

    @abstractmethod
    def _overwrite_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> None: ...

    @abstractmethod
    def _merge(
        self, ref: TableRef, rows: DataFrame, plan: MergePlan, record: CommitRecord
    ) -> None: ...

    @abstractmethod
    def _overwrite(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None: ...

    @abstractmethod
    def _replace(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None: ...

    @abstractmethod
    def _delete(self, ref: TableRef, where: str, record: CommitRecord) -> None: ...

    @abstractmethod
    def _rollback(self, ref: TableRef, to: Version, record: CommitRecord) -> None: ...

    @abstractmethod
    def _checkpoint(self, ref: TableRef, record: CommitRecord) -> None: ...

    @abstractmethod
    def _translated(self, ref: TableRef) -> AbstractContextManager[None]:
        """Context in which native exceptions become ours."""

    def _onto(self, ref: TableRef, expected: Version | None) -> AbstractContextManager[None]:
        """Context in which a commit is made on this version or not at all; on any where it is None.

        The table's lock keeps others away as long as it is held. A lock can be lost, and the JVM of a
        killed run holds none, so the format itself has to refuse what gets past it.
        """
        del ref, expected
        return nullcontext()

    def _write(
        self,
        ref: TableRef,
        operation: str,
        record: CommitRecord,
        run: Callable[[], None],
        expected: Version | None,
    ) -> Commit:
        with self.locked(ref), self._translated(ref):
            done = self.find(ref, record.token)
            if done is not None:
                return Commit(done.version, operation, record.token, repeated=True)
            before = self.version(ref)
            if expected not in (None, before):
                raise other_version(ref, before, expected)
            self._locks.check_held()
            self._commit_onto(ref, expected, run)
            found = self.find(ref, record.token)
            if found is None and self.version(ref) == before:
                # Delta commits nothing for a write without rows; the record must be there all the same.
                self._commit_onto(ref, expected, lambda: self._checkpoint(ref, record))
                found = self.find(ref, record.token)
            if found is None:
                raise CommitLostError(
                    f"{ref.label}: the {operation} of {record.token} was acknowledged, "
                    "but is not in the table's log"
                )
            if expected is not None:
                self._refuse_other_base(ref, found, expected)
            return Commit(found.version, operation, record.token)

    def _commit_onto(
        self, ref: TableRef, expected: Version | None, run: Callable[[], None]
    ) -> None:
        self._expected = expected
        try:
            with self._onto(ref, expected):
                run()
        finally:
            self._expected = None

    def _refuse_other_base(self, ref: TableRef, made: Snapshot, expected: Version) -> None:
        """Refuse a commit that was made on another version than expected, and undo it if it is the newest."""
        history = self.history(ref, limit=TOKEN_MEMORY)
        place = place_of(ref, history, made.version)
        token = made.record.token if made.record is not None else ""
        base = next(e for e in history[place:] if e.record is None or e.record.token != token)
        if base.version == expected:
            return
        if place == 0:
            kept = next((e.record for e in lineage(history[1:]) if e.record is not None), None)
            kept = kept or CommitRecord(run_id="", token="")
            undone = replace(kept, token=f"{made.version}.undone", files=(), rows={})
            self._rollback(ref, base.version, undone.as_rollback(base.version, of=made.version))
        raise other_version(ref, base.version, expected)
