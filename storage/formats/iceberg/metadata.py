"""What the metadata of an Iceberg table says, without a catalog and without Spark."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlparse

from pyiceberg import types
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot as IcebergSnapshot
from pyiceberg.types import IcebergType
from pyspark.sql.types import DataType, DecimalType

from storage.types import EMPTY, CommitRecord, Snapshot, Version

RECORD = "lakehouse.record"
"""Property of a snapshot that holds its commit record."""

REPLACES = "lakehouse.replaces"
"""Property of a snapshot that replaced the table: the one before, which is not its parent."""
WAP_ENABLED = "write.wap.enabled"
"""Property of a table that lets Spark write snapshots beside it."""
WAP_ID = "wap.id"
"""Property of a snapshot that was written beside its table."""

_TYPES: dict[str, IcebergType] = {
    "string": types.StringType(),
    "boolean": types.BooleanType(),
    "int": types.IntegerType(),
    "bigint": types.LongType(),
    "double": types.DoubleType(),
    "date": types.DateType(),
    "timestamp": types.TimestamptzType(),
}


def commits(table: Table, limit: int | None = None) -> list[Snapshot]:
    """The table's snapshots, newest first, and after the first one its creation."""
    found: list[Snapshot] = []
    snapshot = table.current_snapshot()
    while snapshot is not None and (limit is None or len(found) < limit):
        summary = snapshot.summary
        found.append(
            Snapshot(
                Version(str(snapshot.snapshot_id)),
                datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC),
                summary.operation.value if summary else "",
                CommitRecord.from_json(
                    summary.additional_properties.get(RECORD) if summary else None
                ),
            )
        )
        snapshot = before(table, snapshot)
    if snapshot is None and (limit is None or len(found) < limit):
        created = datetime.fromtimestamp(table.metadata.last_updated_ms / 1000, UTC)
        found.append(Snapshot(EMPTY, found[-1].committed_at if found else created, "create", None))
    return found


def current_version(table: Table) -> Version:
    """The version that readers see."""
    snapshot = table.current_snapshot()
    return EMPTY if snapshot is None else Version(str(snapshot.snapshot_id))


def before(table: Table, snapshot: IcebergSnapshot) -> IcebergSnapshot | None:
    """The snapshot before: the parent, or for one that replaced the table the one that it names.

    Tables that were replaced by an older version have no such name: there it is the newest of lower sequence.
    """
    if snapshot.parent_snapshot_id is not None:
        return table.snapshot_by_id(snapshot.parent_snapshot_id)
    if (replaced := _property(snapshot, REPLACES)) is not None:
        return table.snapshot_by_id(int(replaced))
    number = snapshot.sequence_number or 0
    earlier = [s for s in table.snapshots() if (s.sequence_number or 0) < number]
    return max(earlier, key=lambda s: s.sequence_number or 0, default=None)


def staged_snapshots(table: Table, staging: str) -> list[int]:
    """Ids of the snapshots that one write has made beside the table, oldest first."""
    return [s.snapshot_id for s in table.snapshots() if _property(s, WAP_ID) == staging]


def abandoned_snapshots(table: Table, before_ms: int) -> list[int]:
    """Ids of the snapshots that killed writes have left beside the table.

    Args:
        table: The table.
        before_ms: Milliseconds since the epoch; a write that began later may be under way.
    """
    known = {s.snapshot_id: s for s in table.snapshots()}
    current, snapshot = set(), table.current_snapshot()
    while snapshot is not None:
        current.add(snapshot.snapshot_id)
        parent = snapshot.parent_snapshot_id
        snapshot = before(table, snapshot) if parent is None else known.get(parent)
    return [
        n
        for n, s in known.items()
        if _property(s, WAP_ID) is not None and n not in current and s.timestamp_ms < before_ms
    ]


def _property(snapshot: IcebergSnapshot, name: str) -> str | None:
    summary = snapshot.summary
    return None if summary is None else summary.additional_properties.get(name)


def iceberg_type(kind: DataType) -> IcebergType:
    """Iceberg's type for one of `storage.schemas.TYPES`."""
    if isinstance(kind, DecimalType):
        return types.DecimalType(kind.precision, kind.scale)
    return _TYPES[kind.simpleString()]


def folder_of(table: Table) -> Path:
    """Where the files of a table on a local disk are."""
    location = table.location()
    return Path(unquote(urlparse(location).path)) if "://" in location else Path(location)
