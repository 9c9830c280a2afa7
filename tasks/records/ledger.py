"""Which deliveries a bronze table has taken in, and how far an extraction has come.

The ledger is read from the commit records of the table itself; deliveries of commits that were rolled back
do not count. Where the table's history does not reach back to its creation, it is rebuilt from the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.base import TableStore
from storage.types import Snapshot, SourceFile, TableRef, Version
from tasks.notes import Notes


def delivered(store: TableStore, ref: TableRef) -> list[SourceFile]:
    """Every delivery that a bronze table holds, in order."""
    if not store.exists(ref):
        return []
    return _files(store.since(ref, None)) if complete(store, ref) else rebuilt(store, ref)


def last_delivery(store: TableStore, ref: TableRef) -> int:
    """The highest number that a delivery was given, also one that was rolled back since; 0 for none."""
    if not store.exists(ref):
        return 0
    history = store.history(ref)
    noted = [Notes.of(entry.record).deliveries or 0 for entry in history]
    files = [*_files(history), *delivered(store, ref)]
    return max([*noted, *(file.delivery for file in files)], default=0)


def position(store: TableStore, ref: TableRef, note: str) -> Mapping[str, Any] | None:
    """How far an extraction has come, from the record of the table's head commit; None where it has none."""
    return Notes.of(store.head(ref).record).others.get(note) if store.exists(ref) else None


def complete(store: TableStore, ref: TableRef) -> bool:
    """Whether the commit records name every delivery since the table's creation."""
    files = _files(store.history(ref))
    numbers = sorted(f.delivery for f in files)
    return numbers == list(range(1, len(files) + 1)) and bool(files or not store.stats(ref).rows)


def _files(entries: Iterable[Snapshot]) -> list[SourceFile]:
    return [f for entry in entries if entry.record for f in entry.record.files]


def arrived(store: TableStore, ref: TableRef, after: Version, until: Version) -> DataFrame:
    """The rows at `until` of the deliveries that came after a position."""
    newer = list(takewhile(lambda entry: entry.version != after, store.history(ref)))
    if not any(_rearranged(entry) for entry in newer):
        return store.added(ref, after, until)
    # Over a rollback there are rows that came and went, and rows that came back.
    numbers = [file.delivery for file in _files(store.since(ref, after))]
    return store.read(ref, until).where(F.col("_delivery").isin(numbers))


def _rearranged(entry: Snapshot) -> bool:
    """Whether a commit may write rows again that were delivered before."""
    return entry.restored is not None or bool(entry.record and entry.record.changes_columns)


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
