"""Arrow's view of Parquet files: the instants that Spark reads, whatever type they are stored in.

Spark once wrote instants as INT96, which Arrow takes for nanoseconds. These hold the years 1677 to 2262;
beyond them Arrow gives other instants, or none of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

INT96_UNIT = "us"
"""Microseconds, as tables have them."""
READ_OPTIONS = ds.ParquetReadOptions(coerce_int96_timestamp_unit=INT96_UNIT)
FORMAT = ds.ParquetFileFormat(read_options=READ_OPTIONS)


def parquet_dataset(
    source: str | Path | Sequence[str], schema: pa.Schema | None = None
) -> ds.Dataset:
    """The rows of a folder of Parquet files, or of the files named."""
    return ds.dataset(source, schema=schema, format=FORMAT)
