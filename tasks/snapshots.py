"""Full snapshots: the newest one says which keys exist, what it lacks is deleted.

The newest snapshot is the one last in `sequence_by`, or last delivered. Its place is kept in the commit
record, so that a snapshot that comes late is known for an older one and changes no live row.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from storage.base import TableStore
from storage.plans import MergePlan, differs
from storage.sql import quote
from storage.types import TableRef
from tasks.frames import KEY_MISSING
from tasks.ordering import DELETED, content
from tasks.spec import SilverSpec, Strategy

NOTE = "snapshot"
"""Key of the commit record's notes."""
MISSING = "_missing"
"""Flag of a row that the newest snapshot lacks."""
DROPPED = "_dropped"
"""Flag of a row that comes too late to matter."""


@dataclass(frozen=True)
class Snapshots:
    """The deliveries of an attempt as snapshots.

    Attributes:
        rows: Every row of the attempt, judged.
        place: Place of the newest snapshot of the attempt.
        newest: Whether it is the newest of all.
    """

    rows: DataFrame
    place: str
    newest: bool

    @property
    def present(self) -> DataFrame:
        """Rows of the newest snapshot that have a key; bad ones count, they are there."""
        keyed = F.coalesce(F.col("_rule") != KEY_MISSING, F.lit(True))
        return self.rows.where(keyed & (F.col("_place") == self.place))


def applies(spec: SilverSpec) -> bool:
    """Whether a snapshot deletes what it lacks; otherwise it is a batch of upserts."""
    return spec.strategy is Strategy.snapshot and spec.delete_missing


def place(spec: SilverSpec) -> Column:
    """Place of a row's snapshot among the snapshots, as text that sorts."""
    if spec.sequence_by:
        return F.col(quote(spec.sequence_by[0])).cast("string")
    return F.lpad(F.col("_delivery").cast("string"), 10, "0")


def known(store: TableStore, ref: TableRef) -> str:
    """Place of the newest snapshot that the table has taken in, or empty."""
    record = store.head(ref).record
    return str(record.notes.get(NOTE, "")) if record else ""


def open_snapshots(spec: SilverSpec, rows: DataFrame, known_place: str) -> Snapshots | None:
    """The attempt's snapshots; None where it has no row."""
    placed = rows.where("not _retried").withColumn("_place", place(spec))
    newest = placed.agg(F.max("_place")).collect()[0][0]
    if newest is None:
        return None
    return Snapshots(placed, newest, newest >= known_place)


def reopened(spec: SilverSpec, rows: DataFrame, known_place: str) -> Snapshots:
    """The newest snapshot once more, for older rows that come out of quarantine.

    Args:
        spec: The table.
        rows: Every row of the bronze table, judged.
        known_place: Place of the newest snapshot.
    """
    placed = rows.withColumn("_place", place(spec)).where(F.col("_place") == known_place)
    return Snapshots(placed, known_place, newest=True)


def applied(
    spec: SilverSpec, candidates: DataFrame, target: DataFrame | None, snapshots: Snapshots
) -> DataFrame:
    """The candidates as the newest snapshot leaves them, and the rows that it lacks.

    Args:
        spec: The table.
        candidates: One row a key.
        target: The table's rows, or None before the first load.
        snapshots: The deliveries.

    Returns:
        The candidates' columns, `_missing` and `_dropped`; one row a key.
    """
    live = None if target is None else _live(spec, target)
    present = snapshots.present if snapshots.newest else live
    assert present is not None  # noqa: S101 - a late snapshot has a target
    keys = present.select(*map(quote, spec.key)).distinct().withColumn("_there", F.lit(True))
    rows = candidates.join(keys, spec.key, "left")
    there = F.col("_there").isNotNull()
    late = there if not snapshots.newest else F.lit(False)
    hidden = ~there if not spec.marks_deleted else F.lit(False)
    rows = rows.withColumn(DELETED, F.col(DELETED) | ~there)
    rows = rows.withColumn(DROPPED, late | hidden).withColumn(MISSING, F.lit(False)).drop("_there")
    if live is None or not snapshots.newest:
        return rows
    gone = live.join(keys, spec.key, "left_anti").join(
        candidates.select(*map(quote, spec.key)), spec.key, "left_anti"
    )
    return rows.unionByName(_deleted(spec, gone, snapshots, rows))


def _live(spec: SilverSpec, target: DataFrame) -> DataFrame:
    return target.where(~F.col(DELETED)) if spec.marks_deleted else target


def _deleted(spec: SilverSpec, gone: DataFrame, snapshots: Snapshots, like: DataFrame) -> DataFrame:
    """Delete events for the rows that the newest snapshot lacks, placed where it is."""
    first = snapshots.rows.where(F.col("_place") == snapshots.place).agg(
        F.max("_sequence").alias("_sequence"),
        F.max("_batch_id").alias("_batch_id"),
        *[F.max(quote(c)).alias(c) for c in spec.sequence_by],
    )
    replaced = ["_sequence", "_batch_id", *spec.sequence_by]
    rows = gone.drop(*replaced, DELETED).crossJoin(F.broadcast(first))
    flags = {DELETED: True, MISSING: True, DROPPED: False}
    for name, value in flags.items():
        rows = rows.withColumn(name, F.lit(value))
    return rows.select(*map(quote, like.columns))


def only_differences(spec: SilverSpec, plan: MergePlan) -> MergePlan:
    """The plan, writing a row only where its content differs: a snapshot repeats what did not change."""
    looked_up = [n for n, c in spec.columns.items() if c.lookup is not None]
    compared = [*content(spec), *looked_up, *([DELETED] if spec.marks_deleted else [])]
    unlike = differs(compared) if compared else "false"
    return MergePlan(
        plan.keys,
        plan.columns,
        f"({plan.update_when}) AND ({unlike})",
        plan.delete_when,
        plan.insert_when,
        plan.flags,
    )
