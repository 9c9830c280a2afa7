"""Parquet adapter: immutable files and a numbered manifest a commit; rows are only ever added.

A table is `<root>/<database>/<table>`, with its manifests in `_commits/` and its files in `data/`, a folder a
write. The manifest with the highest number is the current version. It says which files the commit added and
on which version it stands: the one before, or for a rollback an earlier one. A manifest is written aside and
then linked to its name, which fails where the name is taken: two writers cannot both make version N, and no
reader sees half a manifest. Files that no manifest names, those of killed writes, are never read.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from storage.adapter import FormatStore
from storage.base import other_version
from storage.errors import TableNotFoundError, TerminalError, VersionNotFoundError
from storage.evolution import Change, evolved, widens
from storage.failures import NATIVE, translate
from storage.formats.parquet.log import COMMITS, DATA, DataFile, Log, Manifest
from storage.locks import Locks
from storage.parquet_reading import parquet_dataset
from storage.plans import MergePlan
from storage.schemas import arrow_schema, fit, named_types, schema, storable
from storage.sql import quote
from storage.types import CommitRecord, Snapshot, TableRef, TableStats, Version

ORPHAN_SECONDS = 24 * 3600.0
"""Age after which the files of a write that was never committed are removed."""


class ParquetStore(FormatStore):
    """Tables of Parquet files that take appends, checkpoints, new columns and rollbacks."""

    format = "parquet"

    def __init__(self, session: SparkSession | None, root: Path, locks: Locks) -> None:
        super().__init__(session, locks)
        self._root = root

    def location(self, ref: TableRef) -> Path:
        """Folder of the table."""
        return self._root / ref.path

    def exists(self, ref: TableRef) -> bool:
        return self._log(ref).exists()

    def columns(self, ref: TableRef, at: Version | None = None) -> pa.Schema:
        log = self._open(ref)
        return _arrow(log[-1 if at is None else _number(ref, log, at)])

    def _create(
        self,
        ref: TableRef,
        schema: StructType,
        partition_by: Sequence[str],
        *,
        track_changes: bool,
    ) -> None:
        # No partitions, as each delivery has files of its own; and added files are the changes.
        self._log(ref).commit(Manifest(0, _now(), "create", named_types(arrow_schema(schema))))

    def _evolve(
        self, ref: TableRef, changes: Sequence[Change], record: CommitRecord | None
    ) -> None:
        self._commit(ref, "evolve", record, columns=evolved(self.columns(ref), changes))

    def drop(self, ref: TableRef) -> None:
        with self.locked(ref), self._translated(ref):
            # Without its commits the table does not exist; a drop that was cut off there can be repeated.
            for folder in (self.location(ref) / COMMITS, self.location(ref)):
                if folder.exists():
                    shutil.rmtree(folder)

    def tables(self, database: str) -> list[str]:
        folder = self._root / database
        if not folder.is_dir():
            return []
        return sorted(p.name for p in folder.iterdir() if Log(p).exists())

    def read(self, ref: TableRef, at: Version | None = None) -> DataFrame:
        with self._translated(ref):
            log = self._open(ref)
            number = len(log) - 1 if at is None else _number(ref, log, at)
            return self._rows(ref, _files(log, number), log[number])

    def added(self, ref: TableRef, after: Version, until: Version) -> DataFrame:
        with self._translated(ref):
            log = self._open(ref)
            first, last = _number(ref, log, after), _number(ref, log, until)
            if first > last:
                raise VersionNotFoundError(f"{ref.label}: version {after} is not before {until}")
            files = [file for manifest in log[first + 1 : last + 1] for file in manifest.added]
            return self._rows(ref, files, log[last])

    def obstacle(self, ref: TableRef) -> str | None:
        self._open(ref)
        return None

    def read_arrow(self, ref: TableRef) -> pa.Table:
        log = self._open(ref)
        with self._translated(ref):
            return self._dataset(ref, log, len(log) - 1).to_table()

    def scan_arrow(
        self,
        ref: TableRef,
        at: Version,
        *,
        columns: Sequence[str],
        where: pc.Expression | None = None,
    ) -> pa.RecordBatchReader:
        log = self._open(ref)
        found = self._dataset(ref, log, _number(ref, log, at))
        with self._translated(ref):
            return found.scanner(columns=list(columns), filter=where).to_reader()

    def _dataset(self, ref: TableRef, log: Sequence[Manifest], number: int) -> ds.Dataset:
        paths = [str(self.location(ref) / file.path) for file in _files(log, number)]
        return parquet_dataset(paths, _arrow(log[number]))

    def history(self, ref: TableRef, limit: int | None = None) -> list[Snapshot]:
        newest = self._open(ref)[::-1][:limit]
        return [
            Snapshot(
                Version(str(m.version)),
                datetime.fromisoformat(m.committed_at),
                m.operation,
                CommitRecord.from_json(m.record),
            )
            for m in newest
        ]

    def stats(self, ref: TableRef) -> TableStats:
        log = self._open(ref)
        files = _files(log, len(log) - 1)
        return TableStats(sum(f.rows for f in files), len(files), sum(f.bytes for f in files))

    def _append(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None:
        self._sweep(ref)
        folder = _new_folder()
        fitted = rows.select(*_fitted(ref, rows, named_types(self.columns(ref))))
        fitted.write.parquet(str(self.location(ref) / folder))
        self._commit(ref, "append", record, self._written(ref, folder))

    def _create_arrow(self, ref: TableRef, schema: pa.Schema) -> None:
        if self.exists(ref):
            return
        with self._translated(ref):
            self._log(ref).commit(Manifest(0, _now(), "create", named_types(storable(schema))))

    def _append_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> None:
        self._sweep(ref)
        folder = _new_folder()
        (self.location(ref) / folder).mkdir(parents=True)
        fitted = fit(rows, self.columns(ref))
        pq.write_table(fitted, self.location(ref) / folder / "part.parquet")
        self._commit(ref, "append", record, self._written(ref, folder))

    def _overwrite_arrow(self, ref: TableRef, rows: pa.Table, record: CommitRecord) -> None:
        raise _only_added(ref, "overwrite")

    def _merge(self, ref: TableRef, rows: DataFrame, plan: MergePlan, record: CommitRecord) -> None:
        raise _only_added(ref, "merge")

    def _overwrite(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None:
        raise _only_added(ref, "overwrite")

    def _replace(self, ref: TableRef, rows: DataFrame, record: CommitRecord) -> None:
        raise _only_added(ref, "replace")

    def _delete(self, ref: TableRef, where: str, record: CommitRecord) -> None:
        raise _only_added(ref, "delete")

    def _rollback(self, ref: TableRef, to: Version, record: CommitRecord) -> None:
        log = self._open(ref)
        base = _number(ref, log, to)
        self._commit(ref, "rollback", record, base=base, columns=_arrow(log[base]))

    def _checkpoint(self, ref: TableRef, record: CommitRecord) -> None:
        self._commit(ref, "checkpoint", record)

    def _commit(
        self,
        ref: TableRef,
        operation: str,
        record: CommitRecord | None,
        added: Sequence[DataFile] = (),
        *,
        base: int | None = None,
        columns: pa.Schema | None = None,
    ) -> None:
        newest = self._open(ref)[-1]
        if self._expected not in (None, str(newest.version)):
            raise other_version(ref, Version(str(newest.version)), self._expected)
        self._log(ref).commit(
            Manifest(
                newest.version + 1,
                max(_now(), newest.committed_at),
                operation,
                newest.columns if columns is None else named_types(columns),
                tuple(added),
                newest.version if base is None else base,
                None if record is None else record.to_json(),
            )
        )

    def _written(self, ref: TableRef, folder: str) -> list[DataFile]:
        """The files of a write that hold rows, safe on the disk."""
        found = []
        for path in sorted((self.location(ref) / folder).glob("*.parquet")):
            rows = pq.read_metadata(path).num_rows
            if rows:
                found.append(DataFile(f"{folder}/{path.name}", rows, path.stat().st_size))
        self._log(ref).sync([file.path for file in found])
        return found

    def _sweep(self, ref: TableRef) -> None:
        """Remove the files of writes that were killed; the table's lock is held, so none is under way."""
        named = {file.path.split("/")[1] for m in self._open(ref) for file in m.added}
        oldest = time.time() - ORPHAN_SECONDS
        for folder in (self.location(ref) / DATA).glob("*"):
            if folder.name not in named and folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

    def _rows(self, ref: TableRef, files: Sequence[DataFile], manifest: Manifest) -> DataFrame:
        wanted = schema(manifest.columns.items())
        if not files:
            return self.session.createDataFrame([], wanted)
        paths = [str(self.location(ref) / file.path) for file in files]
        return self.session.read.schema(wanted).parquet(*paths)

    def _log(self, ref: TableRef) -> Log:
        return Log(self.location(ref))

    def _open(self, ref: TableRef) -> list[Manifest]:
        with self._translated(ref):
            manifests = self._log(ref).manifests()
        if not manifests:
            raise TableNotFoundError(
                f"{ref.label} does not exist in {self._root}",
                advice=f"Load it first: lakehouse run domain={ref.domain} format.bronze=parquet",
            )
        return manifests

    @contextmanager
    def _translated(self, ref: TableRef) -> Iterator[None]:
        try:
            yield
        except NATIVE as error:
            raise translate(ref, error) from error


def _fitted(ref: TableRef, rows: DataFrame, wanted: dict[str, str]) -> list[Column]:
    """The table's columns out of rows, by name; one that is missing is null."""
    found = named_types(rows.schema)
    wrong = [f"{n} is not wanted" for n in found if n not in wanted]
    wrong += [
        f"{n} is {kind}, wanted {wanted[n]}"
        for n, kind in found.items()
        if n in wanted and kind != wanted[n] and not widens(kind, wanted[n])
    ]
    if wrong:
        raise TerminalError(f"{ref.label}: the rows do not fit the table: {'; '.join(wrong)}")
    return [
        (F.col(quote(name)) if name in found else F.lit(None)).cast(kind).alias(name)
        for name, kind in wanted.items()
    ]


def _only_added(ref: TableRef, operation: str) -> TerminalError:
    return TerminalError(
        f"{ref.label}: {operation} changes rows, and rows of a Parquet table are only ever added",
        advice="Keep a table whose rows change in delta or iceberg.",
    )


def _new_folder() -> str:
    return f"{DATA}/{uuid4().hex}"


def _files(log: Sequence[Manifest], number: int) -> list[DataFile]:
    """The files of a version, oldest first."""
    found: list[DataFile] = []
    at: int | None = number
    while at is not None:
        found += log[at].added[::-1]
        at = log[at].base
    return found[::-1]


def _arrow(manifest: Manifest) -> pa.Schema:
    return arrow_schema(schema(manifest.columns.items()))


def _number(ref: TableRef, log: Sequence[Manifest], version: Version) -> int:
    if not version.isdecimal() or int(version) >= len(log):
        raise VersionNotFoundError(
            f"{ref.label}: there is no version {version}; the newest is {len(log) - 1}"
        )
    return int(version)


def _now() -> str:
    return datetime.now(UTC).isoformat()
