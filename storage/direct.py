"""Reading tables without Spark, only where that gives the same answer.

A reader that meets a table feature it lacks can answer wrongly without an error (deltalake's Arrow reader
gives nulls for column-mapped tables), so the table's own protocol is checked against an allow-list first.
"""

from __future__ import annotations

from deltalake import DeltaTable
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from storage.errors import UnsafeReadError

SAFE_DELTA_FEATURES = frozenset({"timestampNtz"})
"""Reader features under which deltalake reads the same rows as Spark."""
COLUMN_MAPPING_READER = 2


def delta_obstacle(table: DeltaTable) -> str | None:
    """Why deltalake must not read the table's current version; None where it may."""
    protocol = table.protocol()
    mapping = table.metadata().configuration.get("delta.columnMapping.mode", "none")
    if mapping != "none":
        return f"column mapping ({mapping})"
    features = set(protocol.reader_features or ())
    unsafe = sorted(features - SAFE_DELTA_FEATURES - {"columnMapping"})
    if unsafe:
        return ", ".join(_readable(name) for name in unsafe)
    if protocol.min_reader_version > COLUMN_MAPPING_READER and not features:
        return f"reader version {protocol.min_reader_version}"
    return None


def iceberg_obstacle(table: Table, snapshot: Snapshot | None) -> str | None:
    """Why pyiceberg must not read a snapshot of the table; None where it may."""
    if table.metadata.format_version > 2:
        return f"format version {table.metadata.format_version}"
    if snapshot is None or snapshot.summary is None:
        return None
    deletes = int(snapshot.summary.additional_properties.get("total-delete-files", 0))
    return f"{deletes} delete files" if deletes else None


def require_safe(label: str, obstacle: str | None) -> None:
    """Raise `UnsafeReadError` where there is an obstacle to reading the table without Spark."""
    if obstacle is not None:
        raise UnsafeReadError(f"{label} needs Spark: {obstacle}")


def _readable(feature: str) -> str:
    names = {"deletionVectors": "deletion vectors", "typeWidening": "type widening"}
    return names.get(feature.removesuffix("-preview"), feature)
