"""Tables as files: one table, or every gold table of a domain with the quality report beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from flows.reading import Reader
from flows.report.quality_report import NAME as REPORT
from flows.report.quality_report import report_path
from storage.disk import replacing, write_text
from storage.types import TableRef
from tasks.domain.schemas import for_consumers

MANIFEST = "export.json"
"""What was exported: the version of each table, by which the next export knows what has not changed."""
FORMS = {".csv": "format csv, header", ".parquet": "format parquet"}


@dataclass(frozen=True)
class Exported:
    """One file of an export.

    Attributes:
        rows: Rows of the table.
        written: False where the file already held this version.
    """

    table: TableRef
    file: Path
    rows: int
    written: bool


def export_table(reader: Reader, ref: TableRef, target: Path) -> Exported:
    """Write a table's current rows to a .csv or .parquet file; it appears whole or not at all.

    Rows of a gold table are in the order of its key, without the columns of the platform (`_...`); of
    other tables all columns are written, in the order of all of them.

    Raises:
        storage.errors.StorageDeniedError: The file cannot be written.
        storage.errors.StorageFullError: The disk is full.
    """
    data = reader.table(ref)
    key: list[str] = []
    if for_consumers(ref):
        data = data.select([name for name in data.column_names if not name.startswith("_")])
        spec = reader.config.domain.gold.get(ref.name)
        key = [name for name in (spec.key if spec else ()) if name in data.column_names]
    write_rows(data, key, target)
    return Exported(ref, target, data.num_rows, written=True)


def export_domain(reader: Reader, folder: Path, kind: str = "csv") -> Iterator[Exported]:
    """Write every gold table that exists to `<folder>/<table>.<kind>`, and the report of the last run.

    A file that already holds the table's current version, and was not touched since, is left as it is.

    Raises:
        storage.errors.LakehouseError: As `export_table`.
    """
    known = _manifest(folder)
    found: dict[str, Any] = {}
    for name in reader.config.domain.gold:
        ref = reader.config.domain.ref(f"gold.{name}")
        if not reader.store.exists(ref):
            continue
        file = folder / f"{name}.{kind}"
        source, entry = _source(reader, ref), known.get(file.name, {})
        if entry.get("source") == source and entry.get("stat") == _stat(file):
            done = Exported(ref, file, entry["rows"], written=False)
        else:
            done = export_table(reader, ref, file)
        found[file.name] = {"source": source, "rows": done.rows, "stat": _stat(file)}
        yield done
    if found:
        others = {n: e for n, e in known.items() if n not in found and (folder / n).exists()}
        write_text(folder / MANIFEST, json.dumps(others | found, indent=2) + "\n")
    report = report_path(reader.config)
    if report.is_file():
        with replacing(folder / REPORT) as partial:
            shutil.copyfile(report, partial)


def write_rows(rows: pa.Table, order: Sequence[str], target: Path) -> None:
    """Write rows in this order (all columns where none is named) to a .csv or .parquet file.

    In CSV a null is nothing, an empty text is `""`; instants are in UTC without a zone.
    """
    text = target.suffix == ".csv"
    columns = [_as_text(field) if text else _quoted(field.name) for field in rows.schema]
    by = ", ".join(f"{_quoted(name)} nulls first" for name in order) or "all nulls first"
    with duckdb.connect() as connection, replacing(target) as partial:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("rows", rows)
        where = str(partial).replace("'", "''")
        query = f"select {', '.join(columns)} from (select * from rows order by {by})"
        connection.execute(f"copy ({query}) to '{where}' ({FORMS[target.suffix]})")


def _as_text(field: pa.Field) -> str:
    name = _quoted(field.name)
    return f"{name}::timestamp as {name}" if pa.types.is_timestamp(field.type) else name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _source(reader: Reader, ref: TableRef) -> dict[str, Any]:
    """What a file of the table depends on."""
    head = reader.store.head(ref)
    return {
        "table": f"{reader.store.format_of(ref)}:{reader.config.paths.lake}/{ref.path}",
        "version": head.version,
        "committed_at": head.committed_at.isoformat(),
        "key": list(reader.config.domain.gold[ref.name].key),
    }


def _stat(file: Path) -> list[int]:
    """Size and time of a file, by which a touched one is known; empty where there is none."""
    if not file.is_file():
        return []
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
