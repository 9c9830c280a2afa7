"""Lakes, and the adapters of their formats, loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from storage.adapter import FormatStore
from storage.errors import ConfigurationError
from storage.lake_store import LakeStore
from storage.locks import Locks
from storage.placement import Placements

if TYPE_CHECKING:
    from storage.postgres import PostgresAddress

Load = Callable[["Lake", SparkSession | None, Locks], FormatStore]


@dataclass(frozen=True)
class Lake:
    """Where tables live, and in which format.

    Attributes:
        root: Folder of the lake.
        format: Name of the format of every layer that `layers` does not name.
        properties: Table properties set at creation, by format.
        lock_seconds: How long a write waits for another writer.
        busy_timeout_ms: How long the catalog waits for another writer.
        layers: Name of the format of a layer, `ops` among them.
        catalog: The PostgreSQL that holds the Iceberg catalog and the locks of a lake which several
            machines share; None for a lake of one machine.
    """

    root: Path
    format: str
    properties: Mapping[str, Mapping[str, str]]
    lock_seconds: float
    busy_timeout_ms: int
    layers: Mapping[str, str] = field(default_factory=dict)
    catalog: PostgresAddress | None = None

    def locks(self, jvm_pid: int | None = None) -> Locks:
        """The lake's locks."""
        folder, seconds = self.root / "_locks", self.lock_seconds
        if self.catalog is None:
            return Locks(folder, timeout_seconds=seconds, jvm_pid=jvm_pid)
        from storage.postgres import SharedLocks  # noqa: PLC0415 - its driver is loaded on demand

        return SharedLocks(folder, self.catalog, timeout_seconds=seconds, jvm_pid=jvm_pid)

    def store(self, session: SparkSession | None, jvm_pid: int | None = None) -> LakeStore:
        """A store on a session of its own; without a session it reads metadata and small tables.

        Raises:
            ConfigurationError: No adapter of a name that is among the formats.
        """
        for name in {self.format, *self.layers.values()}:
            _adapter(name)
        own = session.newSession() if session is not None else None
        locks = self.locks(jvm_pid)
        placements = Placements(self.root, self.layers, self.format)
        return LakeStore(own, placements, lambda name: _adapter(name)(self, own, locks))

    def adapter(
        self, session: SparkSession | None, jvm_pid: int | None = None, name: str | None = None
    ) -> FormatStore:
        """The adapter of one format, by itself, on a session of its own."""
        return self.store(session, jvm_pid).adapter(name or self.format)

    def of(self, name: str) -> dict[str, str]:
        """The table properties of a format."""
        return dict(self.properties.get(name, {}))


def _adapter(name: str) -> Load:
    try:
        return _ADAPTERS[name]
    except KeyError:
        raise ConfigurationError(f"format {name!r} is none of {', '.join(_ADAPTERS)}") from None


def _delta(lake: Lake, session: SparkSession | None, locks: Locks) -> FormatStore:
    from storage.delta_store import DeltaStore  # noqa: PLC0415 - loaded on demand

    return DeltaStore(session, lake.root / "delta", locks, properties=lake.of("delta"))


def _iceberg(lake: Lake, session: SparkSession | None, locks: Locks) -> FormatStore:
    from storage.iceberg_catalog import SqliteCatalog  # noqa: PLC0415 - loaded on demand
    from storage.iceberg_store import IcebergStore  # noqa: PLC0415

    root, properties = lake.root / "iceberg", lake.of("iceberg")
    if lake.catalog is None:
        sqlite = SqliteCatalog(root, lake.busy_timeout_ms)
        return IcebergStore(session, sqlite, locks, properties=properties)
    from storage.postgres_catalog import PostgresCatalog  # noqa: PLC0415

    shared = PostgresCatalog(root, lake.catalog)
    return IcebergStore(session, shared, locks, properties=properties)


def _parquet(lake: Lake, session: SparkSession | None, locks: Locks) -> FormatStore:
    from storage.parquet_store import ParquetStore  # noqa: PLC0415 - loaded on demand

    return ParquetStore(session, lake.root / "parquet", locks)


_ADAPTERS: dict[str, Load] = {
    "delta": _delta,
    "iceberg": _iceberg,
    "parquet": _parquet,
}
FORMATS = ("delta", "iceberg")
"""Formats that every layer may have."""
BRONZE_FORMATS = tuple(_ADAPTERS)
"""Formats that bronze may have: rows are only added there."""
