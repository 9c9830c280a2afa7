"""Plain Parquet as a table format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.formats.format import Format, Place

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from storage.adapter import FormatStore
    from storage.locks import Locks


def _load(place: Place, session: SparkSession | None, locks: Locks) -> FormatStore:
    from storage.formats.parquet.store import ParquetStore  # noqa: PLC0415 - loaded on demand

    return ParquetStore(session, place.root, locks)


FORMAT = Format(
    "parquet", _load, layers=("bronze",), lacks="keeps no keys, so it can only add rows"
)
