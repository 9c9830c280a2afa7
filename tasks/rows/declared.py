"""Rows of bronze with the columns that the domain declares."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.sql import quote
from tasks.domain.schemas import bronze_schema
from tasks.domain.spec import SourceSpec


def with_declared_columns(source: SourceSpec, rows: DataFrame) -> DataFrame:
    """Rows of a source's bronze table, each declared column among them.

    Iceberg reads a version with the columns of its time, so one that was added since is null.
    """
    return rows.select(
        *[
            F.col(quote(f.name)) if f.name in rows.columns
            else F.lit(None).cast(f.dataType).alias(f.name)
            for f in bronze_schema(source).fields
        ]
    )  # fmt: skip
