"""Which deliveries a bronze table has taken in, and how far an extraction has come.

The ledger is read from the commit records of the table itself. Where the table's history does not reach
back to its creation, it is rebuilt from the rows.
"""

from __future__ import annotations

from pyspark.sql import functions as F

from storage.base import TableStore
from storage.types import SourceFile, TableRef


def delivered(store: TableStore, ref: TableRef) -> list[SourceFile]:
    """Every delivery of a bronze table, in order."""
    if not store.exists(ref):
        return []
    return _recorded(store, ref) if complete(store, ref) else rebuilt(store, ref)


def watermark(store: TableStore, ref: TableRef, column: str) -> str | None:
    """The highest value of a watermark column that was taken in, from the table's head commit.

    None where there is no such record; then the whole source is read, and what bronze holds is left out.
    """
    record = store.head(ref).record if store.exists(ref) else None
    mark = record.notes.get("watermark") if record is not None else None
    return str(mark["value"]) if mark and mark["column"] == column else None


def complete(store: TableStore, ref: TableRef) -> bool:
    """Whether the commit records name every delivery since the table's creation."""
    files = _recorded(store, ref)
    numbers = sorted(f.delivery for f in files)
    return numbers == list(range(1, len(files) + 1)) and bool(files or not store.stats(ref).rows)


def _recorded(store: TableStore, ref: TableRef) -> list[SourceFile]:
    history = store.history(ref)
    return [f for entry in reversed(history) if entry.record for f in entry.record.files]


def rebuilt(store: TableStore, ref: TableRef) -> list[SourceFile]:
    """The ledger from bronze's own rows; sizes in bytes are not among them and read 0."""
    rows = (
        store.read(ref)
        .groupBy("_delivery", "_batch_id", "_source_file", "_file_hash")
        .agg(F.count("*").alias("rows"))
        .orderBy("_delivery")
        .collect()
    )
    return [
        SourceFile(
            name=row["_source_file"],
            sha256=row["_file_hash"],
            bytes=0,
            rows=row["rows"],
            batch_id=row["_batch_id"],
            delivery=row["_delivery"],
        )
        for row in rows
    ]
