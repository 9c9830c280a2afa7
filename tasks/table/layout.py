"""Where rows lie in the files of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from pyspark.sql import DataFrame

from storage.sql import quote
from tasks.domain.spec import TableSpec

ROWS_PER_FILE = 250_000
"""Both formats skip whole files by the least and the greatest value of a column, so files are small."""


class Layout(TypedDict):
    """What a table is created with, beside its columns."""

    partition_by: tuple[str, ...]
    track_changes: bool


def layout(spec: TableSpec | None) -> Layout:
    """How a table is laid out at its creation; None stands for one beside a declared table."""
    delivered = spec is not None and spec.is_delivered
    return {"partition_by": ("_ingestion_date",) if delivered else (), "track_changes": delivered}


def clustered(rows: DataFrame, columns: Sequence[str], count: int) -> DataFrame:
    """The rows in sorted files of bounded size, each with a range of values of its own.

    Args:
        rows: Rows that are about to be written.
        columns: Columns to sort by; without any the rows stay as they are.
        count: How many rows there are.
    """
    if not columns:
        return rows
    by = [quote(c) for c in columns]
    files = max(1, -(-count // ROWS_PER_FILE))
    rows = rows.repartitionByRange(files, *by) if files > 1 else rows.coalesce(1)
    return rows.sortWithinPartitions(*by)
