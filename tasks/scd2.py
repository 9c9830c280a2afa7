"""Slowly changing dimension of type 2: spans from events, whatever the order of their arrival.

The spans of a key are a pure function of the set of its events, so late events, duplicates and replays
need no case of their own: the spans are computed anew and the difference is merged.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from storage.sql import quote


def spans(
    events: DataFrame, *, keys: Sequence[str], track: Sequence[str], sequence_by: Sequence[str]
) -> DataFrame:
    """The history of each key.

    Args:
        events: Keys, tracked columns and the columns of `sequence_by`.
        keys: The natural key.
        track: Columns whose change starts a new span.
        sequence_by: Order of the events; the first column is the instant at which a span starts. Of
            several events at one instant the last in sequence counts.

    Returns:
        Keys, tracked columns, `valid_from`, `valid_to` (exclusive, null while current), `is_current`;
        one row a span.
    """
    instant, *rest = sequence_by
    key = [F.col(quote(k)) for k in keys]
    last = Window.partitionBy(*key, F.col(quote(instant))).orderBy(
        *[F.col(quote(c)).desc() for c in rest] or [F.lit(1)]
    )
    at_instant = events.withColumn("_rank", F.row_number().over(last)).where("_rank = 1")
    ordered = Window.partitionBy(*key).orderBy(F.col(quote(instant)))
    values = F.struct(*[F.col(quote(c)) for c in track])
    previous = F.lag(values).over(ordered)
    first = F.row_number().over(ordered) == 1
    starts = at_instant.withColumn("_starts", first | ~values.eqNullSafe(previous)).where("_starts")
    return starts.select(
        *key,
        *[F.col(quote(c)) for c in track],
        F.col(quote(instant)).alias("valid_from"),
        F.lead(F.col(quote(instant))).over(ordered).alias("valid_to"),
        F.lead(F.lit(1)).over(ordered).isNull().alias("is_current"),
    )
