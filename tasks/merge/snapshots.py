"""Full snapshots: the newest one says which keys exist, what it lacks is deleted.

The newest snapshot is the one last in `sequence_by`, by the type of that column, or last delivered. Its
place is kept in the commit record, as text, so that a snapshot that comes late is known for an older one
and changes no live row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from storage.base import TableStore
from storage.plans import MergePlan, differs
from storage.sql import quote
from storage.types import TableRef
from tasks.domain.schemas import DELETED
from tasks.domain.spec import SilverSpec
from tasks.notes import Notes
from tasks.rows.frames import KEY_MISSING
from tasks.rows.ordering import content

MISSING = "_missing"
"""Flag of a row that the newest snapshot lacks."""
DROPPED = "_dropped"
"""Flag of a row that comes too late to matter."""


@dataclass(frozen=True)
class Snapshots:
    """The deliveries of an attempt as snapshots.

    Attributes:
        rows: Every row of the attempt, judged, with its `_place`.
        place: Place of the newest snapshot of the attempt, as text.
        newest: Whether it is the newest of all.
        kind: Type of a place.
    """

    rows: DataFrame
    place: str
    newest: bool
    kind: str

    @property
    def own(self) -> DataFrame:
        """Rows of the newest snapshot."""
        return self.rows.where(F.col("_place") == F.lit(self.place).try_cast(self.kind))

    @property
    def present(self) -> DataFrame:
        """Rows of the newest snapshot that have a key; bad ones count, they are there.

        A row whose place is empty or not readable belongs to the newest snapshot that its delivery has.
        """
        deliveries = F.broadcast(self.own.select("_batch_id").distinct())
        unplaced = self.rows.where("_place is null").join(deliveries, "_batch_id", "left_semi")
        rows = self.own.unionByName(unplaced.select(*map(quote, self.rows.columns)))
        return rows.where(F.coalesce(F.col("_rule") != KEY_MISSING, F.lit(True)))


def _place(spec: SilverSpec) -> tuple[Column, str]:
    """Place of a row's snapshot among the snapshots, and its type."""
    if spec.sequence_by:
        return F.col(quote(spec.sequence_by[0])), spec.columns[spec.sequence_by[0]].type
    return F.col("_delivery").cast("bigint"), "bigint"


def known(store: TableStore, ref: TableRef) -> str:
    """Place of the newest snapshot that the table has taken in, or empty."""
    return Notes.of(store.head(ref).record).snapshot or ""


def open_snapshots(spec: SilverSpec, rows: DataFrame, known_place: str) -> Snapshots | None:
    """The attempt's snapshots; None where no new row of it has a place."""
    value, kind = _place(spec)
    placed, newest = rows.where("not _retried").withColumn("_place", value), F.max("_place")
    older = F.coalesce(newest < F.lit(known_place).try_cast(kind), F.lit(False))
    text, is_older = placed.agg(newest.cast("string"), older).collect()[0]
    return None if text is None else Snapshots(placed, text, not is_older, kind)


def reopened(spec: SilverSpec, rows: DataFrame, known_place: str) -> Snapshots:
    """The newest snapshot once more, for older rows that come out of quarantine.

    Args:
        spec: The table.
        rows: Every row of the bronze table, judged.
        known_place: Place of the newest snapshot.
    """
    value, kind = _place(spec)
    return Snapshots(rows.withColumn("_place", value), known_place, newest=True, kind=kind)


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
        The candidates' columns, `_missing` and `_dropped`. A row that the newest snapshot lacks is one that
        is `_missing`; a candidate of an older snapshot for that key is dropped beside it.
    """
    live = None if target is None else _live(spec, target)
    present = snapshots.present if snapshots.newest else live
    assert present is not None  # noqa: S101 - a late snapshot has a target
    rows = candidates.join(_flagged(spec, present, "_there"), spec.key, "left")
    there, alive = F.col("_there").isNotNull(), F.lit(False)
    if live is not None:
        rows = rows.join(_flagged(spec, live, "_alive"), spec.key, "left")
        alive = F.col("_alive").isNotNull()
    late = there if not snapshots.newest else F.lit(False)
    hidden = ~there & (alive if spec.marks_deleted else F.lit(True))
    rows = rows.withColumn(DELETED, F.col(DELETED) | ~there).withColumn(DROPPED, late | hidden)
    rows = rows.withColumn(MISSING, F.lit(False)).drop("_there", "_alive")
    if live is None or not snapshots.newest:
        return rows
    gone = live.join(_flagged(spec, present, "_there"), spec.key, "left_anti")
    return rows.unionByName(_deleted(spec, gone, snapshots, rows))


def _flagged(spec: SilverSpec, rows: DataFrame, flag: str) -> DataFrame:
    return rows.select(*map(quote, spec.key)).distinct().withColumn(flag, F.lit(True))


def _live(spec: SilverSpec, target: DataFrame) -> DataFrame:
    return target.where(~F.col(DELETED)) if spec.marks_deleted else target


def _deleted(spec: SilverSpec, gone: DataFrame, snapshots: Snapshots, like: DataFrame) -> DataFrame:
    """Delete events for the rows that the newest snapshot lacks, placed where it is."""
    first = snapshots.own.agg(
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
    return replace(plan, update_when=f"({plan.update_when}) AND ({unlike})")
