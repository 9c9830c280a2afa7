"""Rows of an incremental extraction that bronze does not hold yet."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from storage.sql import quote
from tasks.domain.schemas import MALFORMED
from tasks.domain.spec import WatermarkSpec

HASH = "_record_hash"
CONTENT = "_content"


def unseen(
    rows: DataFrame, held: DataFrame | None, watermark: WatermarkSpec, *, since: str | None,
    type_name: str,
) -> DataFrame:  # fmt: skip
    """The rows that bronze does not hold: in the newest row of any key, or without a key in any row.

    Args:
        rows: What was read, with `_record_hash` and `_rescued`.
        held: The rows of the bronze table; None where it has none.
        watermark: Column and key of the extraction.
        since: Text of the value from which on rows were read; None for all.
        type_name: Spark's name of the watermark's type.
    """
    if held is None:
        return rows
    if since is not None:
        value = F.col(quote(watermark.column)).try_cast(type_name)
        held = held.where((value >= F.lit(since).cast(type_name)) | value.isNull())
    held = held.withColumn(CONTENT, _content())
    key = [*(quote(c) for c in watermark.key), _malformed()] if watermark.key else [CONTENT]
    newest = Window.partitionBy(*key).orderBy(F.col("_sequence").desc())
    ranked = held.withColumn("_rank", F.row_number().over(newest))
    known = ranked.where("_rank = 1").select(CONTENT)
    return rows.withColumn(CONTENT, _content()).join(known, CONTENT, "left_anti").drop(CONTENT)


def _malformed() -> Column:
    """The line that is not a record: it tells such rows from each other, which may have no value at all."""
    return F.get_json_object("_rescued", f"$.{MALFORMED}.line")


def _content() -> Column:
    return F.coalesce(F.sha2(_malformed(), 256), F.col(HASH))
