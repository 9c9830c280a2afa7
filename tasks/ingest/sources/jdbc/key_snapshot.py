"""Deletes of a table that is read by watermark: keys that bronze holds and the database has no more.

The rows are read first and the keys after them, so a row that is inserted meanwhile is among the keys, and
whatever a key is compared with was in the database before. A key that is missing is therefore deleted. All
keys are read by one statement, which sees one state of the database.

A deleted key that is there again, though no row read by watermark has it, is read by starting over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from storage.sql import quote
from tasks.domain.durations import duration
from tasks.domain.spec import KeySnapshotSpec, SourceSpec

DELETED, DELETED_AT = "__deleted", "__deleted_at"
GIVEN = (DELETED, DELETED_AT)
"""Columns that a key snapshot gives, where the source declares them: whether the row is gone, and the
instant (UTC) at which that was seen."""
COMPARED = "keys_compared_at"
"""Key of an extraction's position: when the keys were compared last, ISO 8601."""


def given(source: SourceSpec) -> set[str]:
    """Declared columns whose values come from key snapshots, not from the database."""
    return {c for c in source.columns if c in GIVEN} if source.key_snapshot else set()


def alive(name: str) -> Column:
    """Value of a given column in a row of the database."""
    return F.lit("false") if name == DELETED else F.lit(None).cast("string")


def due(spec: KeySnapshotSpec, position: Mapping[str, Any]) -> bool:
    """Whether keys are to be compared, as far as the last commit tells."""
    last = position.get(COMPARED)
    if not spec.every or last is None:
        return True
    return datetime.now(UTC) - datetime.fromisoformat(last) >= duration(spec.every)


def newest(
    source: SourceSpec, spec: KeySnapshotSpec, held: DataFrame, fresh: DataFrame
) -> DataFrame:
    """The newest row of each key, with `_is_gone`: whether it says that the key was deleted.

    Args:
        source: Its columns are those of the result.
        spec: The key.
        held: Rows of the bronze table, with `_sequence`.
        fresh: Rows of this extraction that bronze does not hold.
    """
    columns, key = [quote(c) for c in source.columns], [quote(c) for c in spec.key]
    last = F.lit(2**63 - 1).alias("_sequence")
    rows = held.select(*columns, "_sequence").unionByName(fresh.select(*columns, last))
    ranks = F.row_number().over(Window.partitionBy(*key).orderBy(F.col("_sequence").desc()))
    known = rows.withColumn("_rank", ranks).where("_rank = 1").dropna(subset=spec.key)
    is_gone = F.coalesce(F.col(DELETED).try_cast("boolean"), F.lit(False))
    return known.select(*columns, is_gone.alias("_is_gone"))


def has_returned(spec: KeySnapshotSpec, newest: DataFrame, keys: DataFrame) -> bool:
    """Whether a key is in the database that was deleted, by rows from below the watermark.

    A backup that was loaded brings such rows, and so does a delivery of deletes that was accepted by mistake.
    """
    return not newest.where("_is_gone").join(keys, spec.key, "left_semi").isEmpty()


def vanished(
    source: SourceSpec, spec: KeySnapshotSpec, newest: DataFrame, keys: DataFrame
) -> DataFrame:
    """The newest row of each key that is not deleted and not among the keys of the database, as deleted."""
    gone = newest.where("not _is_gone").join(keys, spec.key, "left_anti")
    instant = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    marks = {DELETED: F.lit("true"), DELETED_AT: F.lit(instant)}
    return gone.select(*[marks.get(c, F.col(quote(c))).alias(c) for c in source.columns])


def concern(spec: KeySnapshotSpec, gone: int, there: int) -> str:
    """Why a snapshot is for a person to judge, or an empty text."""
    if gone and not there:
        return f"the key snapshot found no key; it would delete all {gone} rows"
    share = gone / (gone + there) if gone else 0.0
    if share > spec.share and gone > spec.rows:
        return (
            f"the key snapshot would delete {gone} of {gone + there} rows ({share:.0%}), "
            f"more than {spec.share:.0%}"
        )
    return ""
