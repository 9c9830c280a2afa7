"""Rows of an incremental extraction that bronze does not hold yet."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from storage.sql import quote
from tasks.spec import WatermarkSpec

HASH = "_record_hash"


def unseen(
    rows: DataFrame, held: DataFrame | None, mark: WatermarkSpec, *, since: str | None,
    type_name: str,
) -> DataFrame:  # fmt: skip
    """Without the rows that bronze holds: of each key the newest, or of any key where none is given.

    Args:
        rows: What was read, with `_record_hash`.
        held: The rows of the bronze table; None where it has none.
        mark: Column and key of the extraction.
        since: Text of the value from which on rows were read; None for all.
        type_name: Spark's name of the watermark's type.
    """
    if held is None:
        return rows
    if since is not None:
        value = F.col(quote(mark.column)).try_cast(type_name)
        held = held.where((value >= F.lit(since).cast(type_name)) | value.isNull())
    key = [quote(c) for c in mark.key] or [HASH]
    newest = Window.partitionBy(*key).orderBy(F.col("_sequence").desc())
    ranked = held.withColumn("_rank", F.row_number().over(newest))
    return rows.join(ranked.where("_rank = 1").select(HASH), HASH, "left_anti")
