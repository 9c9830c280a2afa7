"""Apache Iceberg adapter: a JDBC catalog, metadata read by pyiceberg, rows by Spark."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.dataset import Scanner
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, ValidationException
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import NestedField
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType
from sqlalchemy.exc import SQLAlchemyError

from storage.adapter import FormatStore
from storage.base import other_version, place_of
from storage.direct import iceberg_obstacle, require_safe
from storage.errors import (
    CommitConflictError,
    VersionNotFoundError,
)
from storage.evolution import FIRST, AllowNulls, Change, WidenColumn, compare
from storage.failures import NATIVE, explain, native_text, translate
from storage.formats.iceberg.catalog import CATALOG, IcebergCatalog
from storage.formats.iceberg.metadata import (
    RECORD,
    REPLACES,
    WAP_ENABLED,
    abandoned_snapshots,
    commits,
    current_version,
    folder_of,
    iceberg_type,
    staged_snapshots,
)
from storage.formats.statements import merge, recorded, setting
from storage.locks import Locks
from storage.plans import MergePlan
from storage.schemas import arrow_schema, fit, storable, type_of
from storage.sql import quote
from storage.types import EMPTY, CommitRecord, Snapshot, TableRef, TableStats, Version

SNAPSHOT_PROPERTY = f"spark.sql.iceberg.snapshot-property.{RECORD}"
ABANDONED_SECONDS = 24 * 3600.0
"""Age after which a snapshot that was written beside a table is taken for one of a killed write."""
NO_REBASE = "commit.retry.num-retries"
WAP_ID = "spark.wap.id"
"""Setting under which Spark writes a snapshot beside the table (write-audit-publish)."""
CONFLICTING = (CommitFailedException, ValidationException)
CONFLICTS = ("CommitFailedException", "ValidationException")


class IcebergStore(FormatStore):
    """Iceberg tables of one catalog."""

    format = "iceberg"

    def __init__(
        self,
        session: SparkSession | None,
        catalog: IcebergCatalog,
        locks: Locks,
        *,
        properties: dict[str, str],
    ) -> None:
        super().__init__(session, locks)
        self._catalog = catalog
        self._properties = properties
        if not catalog.ready:
            with locks.hold(f"{self.format}.catalog"):
                catalog.prepare()
        if session is not None:
            for key, value in catalog.spark_settings().items():
                session.conf.set(key, value)

    def exists(self, ref: TableRef) -> bool:
        with self._translated(ref):
            return self._catalog.pyiceberg.table_exists((ref.database, ref.name))

    def columns(self, ref: TableRef, at: Version | None = None) -> pa.Schema:
        table = self._catalog.load(ref)
        number = None if at is None or at == EMPTY else _snapshot(ref, table, at).schema_id
        schema = table.schema() if number is None else table.schemas()[number]
        return schema_to_pyarrow(schema, include_field_ids=False)

    def _create(
        self,
        ref: TableRef,
        schema: StructType,
        partition_by: Sequence[str],
        *,
        track_changes: bool,
    ) -> None:
        arrow_schema(schema)  # refuses types that the other format would hold differently
        fields = {
            f.name: NestedField(number, f.name, iceberg_type(f.dataType))
            for number, f in enumerate(schema.fields, 1)
        }
        spec = PartitionSpec(
            *[
                PartitionField(fields[c].field_id, 1000 + n, IdentityTransform(), c)
                for n, c in enumerate(partition_by)
            ]
        )
        self._create_database(ref)
        self._catalog.pyiceberg.create_table(
            (ref.database, ref.name),
            Schema(*fields.values()),
            partition_spec=spec,
            properties=self._properties | {WAP_ENABLED: "true"},
        )

    def _create_database(self, ref: TableRef) -> None:
        # The catalog asks and then inserts: of two first tables of a database one would fail.
        with self._locks.hold(f"{self.format}.catalog"):
            self._catalog.pyiceberg.create_namespace_if_not_exists(ref.database)

    def _evolve(
        self, ref: TableRef, changes: Sequence[Change], record: CommitRecord | None
    ) -> None:
        # A schema is metadata beside the snapshots: no snapshot is made, and the head keeps its record.
        with self._catalog.load(ref).update_schema() as update:
            for change in changes:
                if isinstance(change, AllowNulls):
                    update.make_column_optional(change.name)
                    continue
                kind = iceberg_type(type_of(change.type))
                if isinstance(change, WidenColumn):
                    update.update_column(change.name, field_type=kind)
                    continue
                update.add_column(change.name, kind)
                if change.after == FIRST:
                    update.move_first(change.name)
                else:
                    update.move_after(change.name, change.after)

    def drop(self, ref: TableRef) -> None:
        with self.locked(ref), self._translated(ref):
            catalog, name = self._catalog.pyiceberg, (ref.database, ref.name)
            try:
                folder = folder_of(catalog.load_table(name))
                catalog.drop_table(name)
            except NoSuchTableError:  # or the files of a drop that was cut off
                folder = self._catalog.root.joinpath(*name)
            if folder.exists():
                shutil.rmtree(folder)

    def tables(self, database: str) -> list[str]:
        catalog = self._catalog.pyiceberg
        try:
            found = catalog.list_tables(database) if catalog.namespace_exists(database) else []
        except SQLAlchemyError as error:
            raise explain(f"tables of {database}", error) from error
        return sorted(name for _, name in found)

    def read(self, ref: TableRef, at: Version | None = None) -> DataFrame:
        with self._translated(ref):
            table = self._catalog.load(ref)
            if at is None:
                return self.session.table(self._name(ref))
            if at == EMPTY:
                return self.session.table(self._name(ref)).limit(0)
            _snapshot(ref, table, at)
            reader = self.session.read.format("iceberg").option("versionAsOf", at)
            return reader.load(self._name(ref))

    def added(self, ref: TableRef, after: Version, until: Version) -> DataFrame:
        with self._translated(ref):
            history = self.history(ref)
            if place_of(ref, history, after) < place_of(ref, history, until):
                raise VersionNotFoundError(f"{ref.label}: version {after} is not before {until}")
            if after == until:
                return self.read(ref, until).limit(0)
            if after == EMPTY:
                return self.read(ref, until)
            reader = self.session.read.format("iceberg").option("start-snapshot-id", after)
            return reader.option("end-snapshot-id", until).load(self._name(ref))

    def obstacle(self, ref: TableRef) -> str | None:
        table = self._catalog.load(ref)
        return iceberg_obstacle(table, table.current_snapshot())

    def read_arrow(self, ref: TableRef) -> pa.Table:
        table = self._catalog.load(ref)
        require_safe(ref.label, iceberg_obstacle(table, table.current_snapshot()))
        with self._translated(ref):
            return table.scan().to_arrow()

    def scan_arrow(
        self,
        ref: TableRef,
        at: Version,
        *,
        columns: Sequence[str],
        where: pc.Expression | None = None,
    ) -> pa.RecordBatchReader:
        table = self._catalog.load(ref)
        if at == EMPTY:
            return self.columns(ref).empty_table().select(list(columns)).to_reader()
        snapshot = _snapshot(ref, table, at)
        require_safe(ref.label, iceberg_obstacle(table, snapshot))
        with self._translated(ref):
            batches = table.scan(snapshot_id=int(at)).to_arrow_batch_reader()
            return Scanner.from_batches(batches, columns=list(columns), filter=where).to_reader()

    def history(self, ref: TableRef, limit: int | None = None) -> list[Snapshot]:
        return commits(self._catalog.load(ref), limit)

    def stats(self, ref: TableRef) -> TableStats:
        table = self._catalog.load(ref)
        snapshot = table.current_snapshot()
        if snapshot is None or snapshot.summary is None:
            return TableStats(0, 0, 0)
        total = snapshot.summary.additional_properties
        deletes = int(total.get("total-delete-files", 0))
        return TableStats(
            self._count(ref) if deletes else int(total.get("total-records", 0)),
            int(total.get("total-data-files", 0)),
            int(total.get("total-files-size", 0)),
        )

    def _count(self, ref: TableRef) -> int:
        with self._translated(ref):
            return self.read(ref).count()

    def _append(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None:
        writer = rows.writeTo(self._name(ref))
        writer.option(f"snapshot-property.{RECORD}", record.to_json()).append()

    def _create_arrow(self, ref: TableRef, schema: pa.Schema) -> None:
        if self.exists(ref):
            return
        with self._translated(ref):
            self._create_database(ref)
            self._catalog.pyiceberg.create_table_if_not_exists(
                (ref.database, ref.name), storable(schema), properties=self._properties
            )

    def _append_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> None:
        table = self._catalog.load(ref)
        fitted = fit(rows, schema_to_pyarrow(table.schema(), include_field_ids=False))
        table.append(fitted, snapshot_properties={RECORD: record.to_json()})

    def _overwrite_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> None:
        table = self._catalog.load(ref)
        if self._expected not in (None, found := current_version(table)):
            raise other_version(ref, found, self._expected)
        table.metadata.properties[NO_REBASE] = "0"  # of this copy of the metadata, for this commit
        fitted = fit(rows, schema_to_pyarrow(table.schema(), include_field_ids=False))
        write = table.overwrite if self.stats(ref).rows else table.append
        write(fitted, snapshot_properties={RECORD: record.to_json()})

    def _merge(self, ref: TableRef, rows: DataFrame, plan: MergePlan, record: CommitRecord) -> None:
        with self._recorded(record):
            merge(self.session, plan, rows, self._name(ref), f"merge_source_{ref.view}")

    def _overwrite(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None:
        writer = rows.writeTo(self._name(ref))
        writer.option(f"snapshot-property.{RECORD}", record.to_json()).overwrite(F.lit(True))

    def _replace(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None:
        # Schema and rows become one commit of the catalog; the earlier snapshots stay in the table, but
        # the new one has no parent (see `history`).
        table = self._catalog.load(ref)
        names = [table.schema().find_column_name(f.source_id) for f in table.spec().fields]
        parts = [F.col(quote(name)) for name in names if name in rows.columns]
        writer = rows.writeTo(self._name(ref)).using("iceberg")
        writer = writer.partitionedBy(*parts) if parts else writer
        staging = self.session.conf.get(WAP_ID, None)
        self.session.conf.unset(WAP_ID)  # new columns cannot wait beside the table
        if (snapshot := table.current_snapshot()) is not None:
            writer = writer.option(f"snapshot-property.{REPLACES}", str(snapshot.snapshot_id))
        try:
            writer.option(f"snapshot-property.{RECORD}", record.to_json()).replace()
        finally:
            if staging is not None:
                self.session.conf.set(WAP_ID, staging)

    def _delete(self, ref: TableRef, where: str, record: CommitRecord) -> None:
        # A delete of whole files would be a commit of metadata alone, which takes no snapshot property;
        # a condition that metadata cannot answer, though it always holds, makes it a row-level delete.
        first = quote(self._catalog.load(ref).schema().fields[0].name)
        always = f"hash({first}) >= -2147483648"
        with self._recorded(record):
            self.session.sql(
                f"DELETE FROM {self._name(ref)} WHERE ({where}) AND {always}"
            ).collect()

    def _rollback(self, ref: TableRef, to: Version, record: CommitRecord) -> None:
        # Iceberg's rollback only moves the pointer and loses the newer history: a new commit with the
        # old rows keeps every later position readable and carries the record.
        rows = self.read(ref, to)
        if to == EMPTY:
            self._delete(ref, "true", record)
        elif compare(arrow_schema(rows.schema), self.columns(ref)).breaking:
            self._replace(ref, rows, record)
        else:
            self._overwrite(ref, rows, record)

    def _checkpoint(self, ref: TableRef, record: CommitRecord) -> None:
        self._append(ref, self.read(ref).limit(0), record)

    @staticmethod
    def _name(ref: TableRef) -> str:
        return f"{CATALOG}.{quote(ref.database)}.{quote(ref.name)}"

    @contextmanager
    def _onto(self, ref: TableRef, expected: Version | None) -> Iterator[None]:
        # Spark appends to whatever is current when it commits. So the snapshot is written beside the table
        # first, and made current by a commit of the catalog that requires the expected one.
        if expected is None or not self.has_session:
            yield
            return
        self._prepare_staging(ref)
        staging = uuid4().hex
        with setting(self.session, WAP_ID, staging):
            yield
        table = self._catalog.load(ref)
        made = staged_snapshots(table, staging)
        if not made:
            return
        if (found := current_version(table)) != expected:
            table.maintenance.expire_snapshots().by_ids(made).commit()
            raise other_version(ref, found, expected)
        table.manage_snapshots().set_current_snapshot(made[-1]).commit()

    def _prepare_staging(self, ref: TableRef) -> None:
        """Let snapshots be written beside the table; those that a killed write has left there are removed."""
        table = self._catalog.load(ref)
        if table.properties.get(WAP_ENABLED) != "true":
            with table.transaction() as change:
                change.set_properties({WAP_ENABLED: "true"})
        if left := abandoned_snapshots(table, int((time.time() - ABANDONED_SECONDS) * 1000)):
            table.refresh().maintenance.expire_snapshots().by_ids(left).commit()

    def _recorded(self, record: CommitRecord) -> AbstractContextManager[None]:
        return recorded(self.session, SNAPSHOT_PROPERTY, record)

    @contextmanager
    def _translated(self, ref: TableRef) -> Iterator[None]:
        try:
            yield
        except (*NATIVE, SQLAlchemyError, *CONFLICTING) as error:
            known = isinstance(error, CONFLICTING)
            if known or any(name in native_text(error) for name in CONFLICTS):
                raise CommitConflictError(f"{ref.label}: another writer committed first") from error
            raise translate(ref, error) from error


def _snapshot(ref: TableRef, table: Table, at: Version) -> IcebergSnapshot:
    found = table.snapshot_by_id(int(at)) if at.isdecimal() else None
    if found is None:
        raise VersionNotFoundError(f"{ref.label}: snapshot {at} is not retained")
    return found
