"""Which file contents a bronze table has taken in.

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
    history = store.history(ref)
    files = [f for entry in reversed(history) if entry.record for f in entry.record.files]
    complete = sorted(f.delivery for f in files) == list(range(1, len(files) + 1))
    if complete and (files or store.stats(ref).rows == 0):
        return files
    return rebuilt(store, ref)


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
