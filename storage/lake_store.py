"""The tables of a lake, each in the format that its layer or a move has given it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from storage.adapter import FormatStore
from storage.base import TableStore
from storage.evolution import Change
from storage.placement import Placements
from storage.plans import MergePlan
from storage.types import Commit, CommitRecord, Snapshot, TableRef, TableStats, Version


class LakeStore(TableStore):
    """Passes each call on to the adapter of the table's format.

    Versions that are given may be of an earlier copy of a table, those that are returned are of the
    present one: a reader's position stays good when the table that it reads is moved.
    """

    def __init__(
        self,
        session: SparkSession | None,
        placements: Placements,
        load: Callable[[str], FormatStore],
    ) -> None:
        """Know a lake's tables.

        Args:
            session: That of every adapter.
            placements: Where the tables are.
            load: Makes the adapter of a format.
        """
        super().__init__(session)
        self.placements = placements
        self._load = load
        self._adapters: dict[str, FormatStore] = {}

    def adapter(self, name: str) -> FormatStore:
        """The adapter of a format."""
        if name not in self._adapters:
            self._adapters[name] = self._load(name)
        return self._adapters[name]

    def format_of(self, ref: TableRef) -> str:
        return self.placements.of(ref).current.format

    def exists(self, ref: TableRef) -> bool:
        return self._of(ref).exists(ref)

    def columns(self, ref: TableRef, at: Version | None = None) -> pa.Schema:
        return self._of(ref).columns(ref, None if at is None else self._native(ref, at))

    def create(
        self,
        ref: TableRef,
        schema: StructType,
        *,
        partition_by: Sequence[str] = (),
        track_changes: bool = False,
    ) -> None:
        store = self._of(ref)
        store.create(ref, schema, partition_by=partition_by, track_changes=track_changes)

    def evolve(self, ref: TableRef, changes: Sequence[Change]) -> tuple[Change, ...]:
        return self._of(ref).evolve(ref, changes)

    def drop(self, ref: TableRef) -> None:
        self._of(ref).drop(ref)

    def tables(self, database: str) -> list[str]:
        moved = self.placements.moved(database)
        chosen = self.placements.configured(database.rpartition("_")[2])
        here = [name for name in self.adapter(chosen).tables(database) if name not in moved]
        formats = {placement.current.format for placement in moved.values()}
        there = {name: self.adapter(name).tables(database) for name in formats}
        return sorted([*here, *(n for n, p in moved.items() if n in there[p.current.format])])

    def read(self, ref: TableRef, at: Version | None = None) -> DataFrame:
        return self._of(ref).read(ref, None if at is None else self._native(ref, at))

    def added(self, ref: TableRef, after: Version, until: Version) -> DataFrame:
        return self._of(ref).added(ref, self._native(ref, after), self._native(ref, until))

    def obstacle(self, ref: TableRef) -> str | None:
        return self._of(ref).obstacle(ref)

    def read_arrow(self, ref: TableRef) -> pa.Table:
        return self._of(ref).read_arrow(ref)

    def scan_arrow(
        self,
        ref: TableRef,
        at: Version,
        *,
        columns: Sequence[str],
        where: pc.Expression | None = None,
    ) -> pa.RecordBatchReader:
        native = self._native(ref, at)
        return self._of(ref).scan_arrow(ref, native, columns=columns, where=where)

    def history(self, ref: TableRef, limit: int | None = None) -> list[Snapshot]:
        return self.placements.seen(ref, self._of(ref).history(ref, limit))

    def stats(self, ref: TableRef) -> TableStats:
        return self._of(ref).stats(ref)

    def lineage(self, ref: TableRef, at: Version | None = None) -> list[Snapshot]:
        return super().lineage(ref, None if at is None else self.placements.of(ref).here(at))

    def since(self, ref: TableRef, after: Version | None) -> list[Snapshot]:
        return super().since(ref, None if after is None else self.placements.of(ref).here(after))

    def append(
        self,
        ref: TableRef,
        rows: DataFrame,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        native = self._expected(ref, expected)
        return self._shown(ref, self._of(ref).append(ref, rows, record, expected=native))

    def append_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> Commit:
        return self._shown(ref, self._of(ref).append_arrow(ref, rows, record))

    def overwrite_arrow(
        self, ref: TableRef, rows: pa.Table, record: CommitRecord, *, expected: Version
    ) -> Commit:
        native = self._native(ref, expected)
        return self._shown(ref, self._of(ref).overwrite_arrow(ref, rows, record, expected=native))

    def merge(
        self,
        ref: TableRef,
        rows: DataFrame,
        plan: MergePlan,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        native = self._expected(ref, expected)
        return self._shown(ref, self._of(ref).merge(ref, rows, plan, record, expected=native))

    def overwrite(
        self,
        ref: TableRef,
        rows: DataFrame,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        native = self._expected(ref, expected)
        return self._shown(ref, self._of(ref).overwrite(ref, rows, record, expected=native))

    def replace(
        self,
        ref: TableRef,
        rows: DataFrame,
        record: CommitRecord,
        *,
        expected: Version | None = None,
    ) -> Commit:
        native = self._expected(ref, expected)
        return self._shown(ref, self._of(ref).replace(ref, rows, record, expected=native))

    def delete(
        self, ref: TableRef, where: str, record: CommitRecord, *, expected: Version | None = None
    ) -> Commit:
        native = self._expected(ref, expected)
        return self._shown(ref, self._of(ref).delete(ref, where, record, expected=native))

    def checkpoint(
        self, ref: TableRef, record: CommitRecord, *, expected: Version | None = None
    ) -> Commit:
        native = self._expected(ref, expected)
        return self._shown(ref, self._of(ref).checkpoint(ref, record, expected=native))

    def rollback(
        self, ref: TableRef, to: Version, record: CommitRecord, *, expected: Version | None = None
    ) -> Commit:
        native, store = self._expected(ref, expected), self._of(ref)
        commit = store.rollback(ref, self._native(ref, to), record, expected=native)
        return self._shown(ref, commit)

    def _of(self, ref: TableRef) -> FormatStore:
        return self.adapter(self.format_of(ref))

    def _native(self, ref: TableRef, version: Version) -> Version:
        return self.placements.of(ref).native(version)

    def _expected(self, ref: TableRef, version: Version | None) -> Version | None:
        return None if version is None else self._native(ref, version)

    def _shown(self, ref: TableRef, commit: Commit) -> Commit:
        version = self.placements.of(ref).current.shown(commit.version)
        return replace(commit, version=version)
