"""What of a gold table has changed since the version that a destination has.

Each row of a gold table carries the token of the commit that wrote it, `_merge_id`. So the rows that changed
are told from the commits between two versions, or, over a rollback or a rebuild, by comparing keys and tokens
of both versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from storage.errors import VersionNotFoundError
from storage.plans import lacking
from storage.sql import quote
from storage.types import CommitRecord, Snapshot, TableRef, Version
from tasks.context import Context
from tasks.destinations.positions import Position
from tasks.destinations.staging import GONE
from tasks.domain.schemas import business_columns, key_of
from tasks.notes import Notes

MERGE_ID = "_merge_id"


@dataclass(frozen=True)
class Difference:
    """Rows to merge, and keys that have left.

    Attributes:
        rows: The gold table's own columns and the flag `_lakehouse_gone`; None where nothing changed.
        whole: Whether the rows are all that the table has.
    """

    rows: DataFrame | None
    whole: bool = False


def position_of(context: Context, ref: TableRef) -> Position | None:
    """Where a gold table stands; None where it was never published."""
    if not context.store.exists(ref):
        return None
    head = context.store.head(ref)
    if head.record is None:
        return None
    rows = context.store.stats(ref).rows
    source, kind = f"{ref.domain} {ref.label}", context.store.format_of(ref)
    return Position(source, kind, str(head.version), _commit(head.record), rows)


def _commit(record: CommitRecord) -> str:
    """What tells the commit from that of another lake with the same inputs: its token, and its run."""
    return f"{record.token} {record.run_id}"


def between(
    context: Context, ref: TableRef, before: Position | None, after: Position
) -> Difference:
    """What has changed from one version to another; all rows where that cannot be told."""
    until = Version(after.version)
    entries = _commits(context, ref, before, until) if before is not None else None
    if before is None or entries is None:
        return Difference(_staged(context, ref, context.store.read(ref, until), None), whole=True)
    if not entries:
        return Difference(None)
    key = key_of(context.domain, ref)
    new, old = context.store.read(ref, until), context.store.read(ref, Version(before.version))
    if not {*key, MERGE_ID} <= set(old.columns):
        return Difference(_staged(context, ref, new, None), whole=True)
    records = [entry.record for entry in entries if entry.record is not None]
    if any(entry.restored or Notes.of(entry.record).replaces for entry in entries):
        same = [*key, MERGE_ID]
        changed = lacking(new, old, same)
        return Difference(_staged(context, ref, changed, _left(old, new, key)))
    changed = new.where(F.col(MERGE_ID).isin([record.token for record in records]))
    removed = any(record.rows.get("removed") for record in records)
    return Difference(_staged(context, ref, changed, _left(old, new, key) if removed else None))


def _commits(
    context: Context, ref: TableRef, before: Position, until: Version
) -> list[Snapshot] | None:
    """The commits between the versions that changed rows; None where they are not known."""
    if before.format != context.store.format_of(ref) or not _is_behind(context, ref, before):
        return None
    found: list[Snapshot] = []
    try:
        for entry in context.store.since(ref, Version(before.version)):
            if entry.record is None:
                return None
            if not entry.record.is_checkpoint:
                found.append(entry)
            if entry.version == until:
                break
    except VersionNotFoundError:
        return None
    return found


def _is_behind(context: Context, ref: TableRef, position: Position) -> bool:
    """Whether the position is one of this lake's table, and not of another one of its name."""
    history = dropwhile(lambda e: e.version != position.version, context.store.history(ref))
    record = next((entry.record for entry in history if entry.record is not None), None)
    if record is None:
        return False
    return position.commit in (
        _commit(record),
        record.token,
    )  # earlier versions wrote the token alone


def _left(old: DataFrame, new: DataFrame, key: Sequence[str]) -> DataFrame:
    names = list(map(quote, key))
    return lacking(old.select(*names), new, key)


def _staged(context: Context, ref: TableRef, rows: DataFrame, gone: DataFrame | None) -> DataFrame:
    """The rows as they are sent: instants as wall-clock times in UTC, which no driver converts."""
    columns = business_columns(context.domain, ref)

    def sent(name: str, kind: str, value: Column) -> Column:
        value = value.cast("timestamp_ntz") if kind == "timestamp" else value
        return value.alias(name)

    kept = [sent(name, kind, F.col(quote(name))) for name, kind in columns]
    made = rows.select(*kept, F.lit(False).alias(GONE))
    if gone is None:
        return made
    key = key_of(context.domain, ref)
    lost = [
        sent(name, kind, F.col(quote(name)) if name in key else F.lit(None).cast(kind))
        for name, kind in columns
    ]
    return made.unionByName(gone.select(*lost, F.lit(True).alias(GONE)))
