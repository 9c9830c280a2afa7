"""Arrow's view of Parquet files: the instants that Spark reads, whatever type they are stored in.

Spark once wrote instants as INT96, which Arrow takes for nanoseconds. These hold the years 1677 to 2262;
beyond them Arrow gives other instants, or none of the file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

INT96_UNIT = "us"
"""Microseconds, as tables have them."""
READ_OPTIONS = ds.ParquetReadOptions(coerce_int96_timestamp_unit=INT96_UNIT)
SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
"""Where Spark keeps the types of the rows in the footer of a file that it writes."""
FORMAT = ds.ParquetFileFormat(read_options=READ_OPTIONS)


def parquet_dataset(
    source: str | Path | Sequence[str], schema: pa.Schema | None = None
) -> ds.Dataset:
    """The rows of a folder of Parquet files, or of the files named."""
    return ds.dataset(source, schema=schema, format=FORMAT)


def spark_rows(session: SparkSession, *folders: str | Path) -> DataFrame:
    """The rows of folders that Spark wrote with equal columns.

    Their types are read from the first file; where it does not have them, Spark runs a job to infer them.
    """
    written = next(Path(folders[0]).glob("*.parquet"), None)
    kept = pq.read_metadata(written).metadata if written is not None else None
    read = session.read
    if kept is not None and SPARK_SCHEMA in kept:
        read = read.schema(StructType.fromJson(json.loads(kept[SPARK_SCHEMA])))
    return read.parquet(*map(str, folders))
