"""Delta Lake as a table format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from storage.formats.format import Format, Place, SessionExtension

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from storage.adapter import FormatStore
    from storage.locks import Locks

REFUSED_SIGNS = " ,;{}()\n\t="
"""Signs that no column can have in its name, where columns are not mapped."""


def _load(place: Place, session: SparkSession | None, locks: Locks) -> FormatStore:
    from storage.formats.delta.store import DeltaStore  # noqa: PLC0415 - loaded on demand

    return DeltaStore(session, place.root, locks, properties=dict(place.properties))


def _refuses_name(name: str, properties: Mapping[str, str]) -> str:
    mapped = properties.get("delta.columnMapping.mode", "none") != "none"
    if mapped or not set(name) & set(REFUSED_SIGNS):
        return ""
    return (
        "has a character that Delta allows in no column name (space , ; { } ( ) = tab line break)"
    )


FORMAT = Format(
    "delta",
    _load,
    extension=SessionExtension(
        "io.delta.sql.DeltaSparkSessionExtension",
        traces=("org.apache.spark.sql.delta", "io.delta.sql"),
        settings={
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.databricks.delta.snapshotPartitions": "1",
        },
    ),
    refuses_name=_refuses_name,
)
