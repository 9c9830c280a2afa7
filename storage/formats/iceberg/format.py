"""Apache Iceberg as a table format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.formats.format import Format, Place, SessionExtension

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from storage.adapter import FormatStore
    from storage.locks import Locks


def _load(place: Place, session: SparkSession | None, locks: Locks) -> FormatStore:
    from storage.formats.iceberg.catalog import SqliteCatalog  # noqa: PLC0415 - loaded on demand
    from storage.formats.iceberg.store import IcebergStore  # noqa: PLC0415

    properties = dict(place.properties)
    if place.catalog is None:
        sqlite = SqliteCatalog(place.root, place.busy_timeout_ms)
        return IcebergStore(session, sqlite, locks, properties=properties)
    from storage.formats.iceberg.postgres_catalog import PostgresCatalog  # noqa: PLC0415

    shared = PostgresCatalog(place.root, place.catalog)
    return IcebergStore(session, shared, locks, properties=properties)


FORMAT = Format(
    "iceberg",
    _load,
    extension=SessionExtension(
        "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions", traces=("iceberg",)
    ),
)
