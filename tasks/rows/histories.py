"""Tables computed from the events of each key, whatever the order of their arrival.

The rows of a key are a pure function of the set of its events, so late events, duplicates and replays need
no case of their own: the keys that a batch touches are computed again and the difference is merged.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from storage.sql import quote
from tasks.domain.schemas import DELETED


def spans(
    events: DataFrame,
    *,
    keys: Sequence[str],
    track: Sequence[str],
    sequence_by: Sequence[str],
    ties: Sequence[str] = (),
) -> DataFrame:
    """The history of each key: a slowly changing dimension of type 2.

    Args:
        events: Keys, tracked columns, the columns of `sequence_by`, and `_is_deleted` where events delete.
        keys: The natural key.
        track: Columns whose change starts a new span.
        sequence_by: Order of the events; the first column is the instant at which a span starts. Of
            several events at one instant the last in order counts.
        ties: Columns that order events of equal sequence.

    Returns:
        Keys, tracked columns, `valid_from`, `valid_to` (exclusive, null while current), `is_current`;
        one row a span. A delete ends a span and leaves a gap until the next event.
    """
    instant, *rest = sequence_by
    key = [F.col(quote(k)) for k in keys]
    deleted = F.col(DELETED) if DELETED in events.columns else F.lit(False)
    last = Window.partitionBy(*key, F.col(quote(instant))).orderBy(
        *[F.col(quote(c)).desc() for c in (*rest, *ties)] or [F.lit(1)]
    )
    at_instant = events.withColumn("_rank", F.row_number().over(last)).where("_rank = 1")
    ordered = Window.partitionBy(*key).orderBy(F.col(quote(instant)))
    values = F.when(~deleted, F.struct(*[F.col(quote(c)) for c in track]))
    state = at_instant.withColumn("_gap", deleted).withColumn("_values", values)
    first = F.row_number().over(ordered) == 1
    same = F.col("_values").eqNullSafe(F.lag("_values").over(ordered))
    starts = state.withColumn("_starts", first | ~same).where("_starts")
    ended = starts.select(
        *key,
        *[F.col(quote(c)) for c in track],
        F.col(quote(instant)).alias("valid_from"),
        F.lead(F.col(quote(instant))).over(ordered).alias("valid_to"),
        F.lead(F.lit(1)).over(ordered).isNull().alias("is_current"),
        "_gap",
    )
    return ended.where("not _gap").drop("_gap")


def folded(
    events: DataFrame, *, keys: Sequence[str], columns: Sequence[str], order: Sequence[str]
) -> DataFrame:
    """One row a key, each column with the last value that was given since the key was last deleted.

    Args:
        events: Keys, columns, and `_is_deleted`.
        keys: The natural key.
        columns: Columns to fold, beside the keys.
        order: The whole order of the events.

    Returns:
        Keys, columns, `_is_deleted`; a deleted key shows the values of its delete event.
    """
    key = [F.col(quote(k)) for k in keys]
    place = F.struct(*[F.col(quote(c)) for c in order])
    whole = Window.partitionBy(*key)
    deletes = events.withColumn("_place", place).withColumn(
        "_deleted_last", F.max(F.when(F.col(DELETED), F.col("_place"))).over(whole)
    )
    counting = deletes.where("_deleted_last is null or _place >= _deleted_last")
    reborn = F.max(F.when(~F.col(DELETED), F.lit(True))).over(whole).isNotNull()
    counting = counting.withColumn("_reborn", reborn).where(f"not _reborn or not {DELETED}")
    return counting.groupBy(*key).agg(
        *[_last_given(c).alias(c) for c in columns],
        F.max(DELETED).alias(DELETED),
    )


def _last_given(column: str) -> Column:
    value = F.col(quote(column))
    return F.max_by(value, F.when(value.isNotNull(), F.col("_place")))
