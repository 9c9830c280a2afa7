"""Delta Lake adapter: tables by path, metadata read by deltalake, rows by Spark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.exceptions import TableNotFoundError as NoDeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.adapter import FormatStore
from storage.base import other_version
from storage.direct import delta_obstacle, require_safe
from storage.errors import (
    ChangesNotTrackedError,
    CommitConflictError,
    TableNotFoundError,
    VersionNotFoundError,
)
from storage.evolution import FIRST, AddColumn, AllowNulls, Change, WidenColumn, evolved
from storage.failures import NATIVE, native_text, translate
from storage.formats.statements import merge, recorded, setting
from storage.locks import Locks
from storage.parquet_reading import READ_OPTIONS
from storage.plans import MergePlan
from storage.schemas import arrow_schema, fit, named_types, storable
from storage.sql import literal, quote
from storage.types import CommitRecord, Snapshot, TableRef, TableStats, Version

USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
REBASES = "spark.databricks.delta.maxCommitAttempts"
"""How often Spark tries a commit again, upon what others have committed meanwhile."""
CONFLICTS = ("ConcurrentAppend", "ConcurrentDelete", "ConcurrentModification", "ConcurrentWrite",
             "MetadataChangedException", "ProtocolChangedException",
             "DELTA_MAX_COMMIT_RETRIES_EXCEEDED")  # fmt: skip


class DeltaStore(FormatStore):
    """Delta tables in `<root>/<database>/<table>`; the log in each table is the catalog."""

    format = "delta"

    def __init__(
        self, session: SparkSession | None, root: Path, locks: Locks, *, properties: dict[str, str]
    ) -> None:
        super().__init__(session, locks)
        self._root = root
        self._properties = properties

    def location(self, ref: TableRef) -> Path:
        """Folder of the table."""
        return self._root / ref.path

    def exists(self, ref: TableRef) -> bool:
        return DeltaTable.is_deltatable(str(self.location(ref)))

    def columns(self, ref: TableRef, at: Version | None = None) -> pa.Schema:
        table = self._open(ref) if at is None else self._open_at(ref, at)
        return pa.schema(table.schema().to_arrow())

    def _create(
        self,
        ref: TableRef,
        schema: StructType,
        partition_by: Sequence[str],
        *,
        track_changes: bool,
    ) -> None:
        properties = dict(self._properties)
        if track_changes:
            properties["delta.enableChangeDataFeed"] = "true"
        DeltaTable.create(
            str(self.location(ref)),
            arrow_schema(schema),
            mode="error",
            partition_by=list(partition_by) or None,
            configuration=dict(properties),
        )

    def _evolve(
        self, ref: TableRef, changes: Sequence[Change], record: CommitRecord | None
    ) -> None:
        table = self._open(ref)
        commit = _properties(record)
        found = pa.schema(table.schema().to_arrow())
        if any(isinstance(change, WidenColumn) for change in changes):
            self._rewrite(ref, evolved(found, changes), record)
            return
        for change in changes:
            if isinstance(change, AllowNulls):
                table.alter.drop_column_not_null(change.name, commit_properties=commit)
        added = [change for change in changes if isinstance(change, AddColumn)]
        last = [found.names[-1], *(change.name for change in added)]
        if [change.after for change in added] == last[: len(added)]:
            new = pa.schema(list(evolved(found, added))[len(found) :])
            if added:
                table.alter.add_columns(Schema.from_arrow(new).fields, commit_properties=commit)
        else:  # only Spark gives a new column another place than the last
            columns = ", ".join(_definition(change) for change in added)
            with self._recorded(record):
                self.session.sql(f"ALTER TABLE {self._name(ref)} ADD COLUMNS ({columns})").collect()

    def _rewrite(self, ref: TableRef, wanted: pa.Schema, record: CommitRecord | None) -> None:
        # Delta's type widening would spare this, but marks the table as one that only Spark reads.
        kinds, rows = named_types(wanted), self.read(ref)
        values = [
            (F.col(quote(name)) if name in rows.columns else F.lit(None)).cast(kind).alias(name)
            for name, kind in kinds.items()
        ]
        self._with_columns(ref, rows.select(*values), record)

    def _with_columns(self, ref: TableRef, rows: DataFrame, record: CommitRecord | None) -> None:
        writer = rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        parts = [c for c in self._open(ref).metadata().partition_columns if c in rows.columns]
        writer = writer.partitionBy(*parts) if parts else writer
        if record is not None:
            writer = writer.option("userMetadata", record.to_json())
        writer.save(str(self.location(ref)))

    def drop(self, ref: TableRef) -> None:
        with self.locked(ref), self._translated(ref):
            if self.location(ref).exists():
                shutil.rmtree(self.location(ref))

    def tables(self, database: str) -> list[str]:
        folder = self._root / database
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if DeltaTable.is_deltatable(str(p)))

    def read(self, ref: TableRef, at: Version | None = None) -> DataFrame:
        with self._translated(ref):
            table = self._open(ref)
            reader = self.session.read.format("delta")
            if at is not None:
                reader = reader.option("versionAsOf", _number(ref, table, at))
            return reader.load(str(self.location(ref)))

    def added(self, ref: TableRef, after: Version, until: Version) -> DataFrame:
        with self._translated(ref):
            table = self._open(ref)
            first, last = _number(ref, table, after), _number(ref, table, until)
            if first > last:
                raise VersionNotFoundError(f"{ref.label}: version {after} is not before {until}")
            if table.metadata().configuration.get("delta.enableChangeDataFeed") != "true":
                raise ChangesNotTrackedError(
                    f"{ref.label} was created without track_changes, so the rows added to it cannot be read"
                )
            if first == last:
                return self.read(ref, until).limit(0)
            feed = (
                self.session.read.format("delta")
                .option("readChangeFeed", "true")
                .option("startingVersion", first + 1)
                .option("endingVersion", last)
                .load(str(self.location(ref)))
            )
            inserts = feed.where("_change_type = 'insert'")
            return inserts.drop("_change_type", "_commit_version", "_commit_timestamp")

    def obstacle(self, ref: TableRef) -> str | None:
        return delta_obstacle(self._open(ref))

    def read_arrow(self, ref: TableRef) -> pa.Table:
        table = self._open(ref)
        require_safe(ref.label, delta_obstacle(table))
        with self._translated(ref):
            return _dataset(table).to_table()

    def scan_arrow(
        self,
        ref: TableRef,
        at: Version,
        *,
        columns: Sequence[str],
        where: pc.Expression | None = None,
    ) -> pa.RecordBatchReader:
        table = self._open_at(ref, at)
        require_safe(ref.label, delta_obstacle(table))
        with self._translated(ref):
            return _dataset(table).scanner(columns=list(columns), filter=where).to_reader()

    def _open_at(self, ref: TableRef, at: Version) -> DeltaTable:
        number = _number(ref, self._open(ref), at)
        with self._translated(ref):
            return DeltaTable(str(self.location(ref)), version=number)

    def history(self, ref: TableRef, limit: int | None = None) -> list[Snapshot]:
        return [
            Snapshot(
                Version(str(entry["version"])),
                datetime.fromtimestamp(entry["timestamp"] / 1000, UTC),
                str(entry.get("operation", "")).lower(),
                CommitRecord.from_json(entry.get("userMetadata")),
            )
            for entry in self._commits(ref, limit)
        ]

    def _commits(self, ref: TableRef, limit: int | None) -> list[dict[str, Any]]:
        # deltalake counts the versions down from the one it opened, though the commits that it lists may
        # be newer where another process writes: only a table that stood still meanwhile is numbered rightly.
        table = self._open(ref)
        with self._translated(ref):
            while True:
                version, commits = table.version(), table.history(limit)
                table.update_incremental()
                if table.version() == version:
                    return commits

    def stats(self, ref: TableRef) -> TableStats:
        table = self._open(ref)
        actions = pa.table(table.get_add_actions(flatten=True))
        sizes = actions.column("size_bytes").to_pylist()
        if "deletionVectors" in (table.protocol().reader_features or ()):
            rows = self.read(ref).count()  # the file's own count knows nothing of deleted rows
        elif "num_records" in actions.schema.names:
            rows = sum(n or 0 for n in actions.column("num_records").to_pylist())
        else:
            rows = 0
        return TableStats(rows, len(sizes), sum(sizes))

    def _append(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None:
        self._write_rows(ref, rows, record, "append")

    def _create_arrow(self, ref: TableRef, schema: pa.Schema) -> None:
        if self.exists(ref):
            return
        with self._translated(ref):
            DeltaTable.create(
                str(self.location(ref)),
                storable(schema),
                mode="ignore",
                configuration=dict(self._properties),
            )

    def _append_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> None:
        self._write_arrow(ref, rows, record, "append")

    def _overwrite_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> None:
        self._write_arrow(ref, rows, record, "overwrite")

    def _write_arrow(
        self,
        ref: TableRef,
        rows: pa.Table,
        record: CommitRecord,
        mode: Literal["append", "overwrite"],
    ) -> None:
        table = self._open(ref)
        if self._expected not in (None, str(table.version())):
            raise other_version(ref, Version(str(table.version())), self._expected)
        write_deltalake(
            table,
            fit(rows, pa.schema(table.schema().to_arrow())),
            mode=mode,
            commit_properties=_properties(record, rebases=None if self._expected is None else 0),
        )

    def _merge(self, ref: TableRef, rows: DataFrame, plan: MergePlan, record: CommitRecord) -> None:
        with self._recorded(record):
            merge(self.session, plan, rows, self._name(ref), f"merge_source_{ref.view}")

    def _overwrite(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None:
        self._write_rows(ref, rows, record, "overwrite")

    def _write_rows(self, ref: TableRef, rows: DataFrame, record: CommitRecord, mode: str) -> None:
        writer = rows.write.format("delta").mode(mode)
        writer.option("userMetadata", record.to_json()).save(str(self.location(ref)))

    def _replace(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None:
        self._with_columns(ref, rows, record)

    def _delete(self, ref: TableRef, where: str, record: CommitRecord) -> None:
        with self._recorded(record):
            self.session.sql(f"DELETE FROM {self._name(ref)} WHERE {where}").collect()

    def _rollback(self, ref: TableRef, to: Version, record: CommitRecord) -> None:
        with self._recorded(record):
            self.session.sql(
                f"RESTORE TABLE {self._name(ref)} TO VERSION AS OF {int(to)}"
            ).collect()

    def _checkpoint(self, ref: TableRef, record: CommitRecord) -> None:
        # Delta drops an append without rows; a table property makes a commit that carries the record.
        with self._recorded(record):
            self.session.sql(
                f"ALTER TABLE {self._name(ref)} SET TBLPROPERTIES "
                f"('lakehouse.mark' = {literal(record.token)})"
            )

    def _name(self, ref: TableRef) -> str:
        return f"delta.{quote(str(self.location(ref)))}"

    def _open(self, ref: TableRef) -> DeltaTable:
        try:
            return DeltaTable(str(self.location(ref)))
        except NoDeltaTable:
            raise TableNotFoundError(
                f"{ref.label} does not exist in {self._root}",
                advice=f"Load it first: lakehouse run domain={ref.domain}",
            ) from None
        except (DeltaError, OSError) as error:
            raise translate(ref, error) from error

    def _onto(self, ref: TableRef, expected: Version | None) -> AbstractContextManager[None]:
        # Spark reads the table when a write begins; without an attempt to rebase it commits the next version.
        if expected is None or not self.has_session:
            return nullcontext()
        return setting(self.session, REBASES, "0")

    def _recorded(self, record: CommitRecord | None) -> AbstractContextManager[None]:
        return recorded(self.session, USER_METADATA, record) if record else nullcontext()

    @contextmanager
    def _translated(self, ref: TableRef) -> Iterator[None]:
        try:
            yield
        except (*NATIVE, DeltaError) as error:
            text = native_text(error)
            if isinstance(error, CommitFailedError) or any(name in text for name in CONFLICTS):
                raise CommitConflictError(f"{ref.label}: another writer committed first") from error
            if "DELTA_VERSION_NOT_FOUND" in text or "Cannot time travel" in text:
                raise VersionNotFoundError(f"{ref.label}: {text.splitlines()[0]}") from error
            raise translate(ref, error) from error


def _dataset(table: DeltaTable) -> ds.Dataset:
    return table.to_pyarrow_dataset(parquet_read_options=READ_OPTIONS)


def _properties(record: CommitRecord | None, *, rebases: int | None = None) -> CommitProperties:
    metadata = {"userMetadata": record.to_json()} if record is not None else {}
    return CommitProperties(custom_metadata=metadata, max_commit_retries=rebases)


def _definition(change: AddColumn) -> str:
    place = "FIRST" if change.after == FIRST else f"AFTER {quote(change.after)}"
    return f"{quote(change.name)} {change.type} {place}"


def _number(ref: TableRef, table: DeltaTable, version: Version) -> int:
    """Delta's number of a version; Spark takes a later one than the newest for the newest."""
    if not version.isdecimal() or int(version) > table.version():
        raise VersionNotFoundError(
            f"{ref.label}: there is no version {version}; the newest is {table.version()}"
        )
    return int(version)
