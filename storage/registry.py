"""Adapters by the name of their format, loaded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from storage.base import TableStore
from storage.errors import ConfigurationError
from storage.locks import Locks


@dataclass(frozen=True)
class Lake:
    """Where the tables of one format live.

    Attributes:
        root: Folder of the lake.
        format: Name of an adapter.
        properties: Table properties set at creation.
        lock_seconds: How long a write waits for another writer.
        busy_timeout_ms: How long the catalog waits for another writer.
    """

    root: Path
    format: str
    properties: Mapping[str, str]
    lock_seconds: float
    busy_timeout_ms: int

    def locks(self, jvm_pid: int | None = None) -> Locks:
        """The lake's locks."""
        return Locks(self.root / "_locks", timeout_seconds=self.lock_seconds, jvm_pid=jvm_pid)

    def store(self, session: SparkSession | None, jvm_pid: int | None = None) -> TableStore:
        """A store on a session of its own; without a session it reads metadata and small tables.

        Raises:
            ConfigurationError: No adapter of that name.
        """
        try:
            load = _ADAPTERS[self.format]
        except KeyError:
            raise ConfigurationError(
                f"format {self.format!r} is none of {', '.join(_ADAPTERS)}"
            ) from None
        own = session.newSession() if session is not None else None
        return load(self, own, self.locks(jvm_pid))


def _delta(lake: Lake, session: SparkSession | None, locks: Locks) -> TableStore:
    from storage.delta_store import DeltaStore  # noqa: PLC0415 - loaded on demand

    return DeltaStore(session, lake.root / "delta", locks, properties=dict(lake.properties))


def _iceberg(lake: Lake, session: SparkSession | None, locks: Locks) -> TableStore:
    from storage.iceberg_catalog import SqliteCatalog  # noqa: PLC0415 - loaded on demand
    from storage.iceberg_store import IcebergStore  # noqa: PLC0415

    catalog = SqliteCatalog(lake.root / "iceberg", lake.busy_timeout_ms)
    return IcebergStore(session, catalog, locks, properties=dict(lake.properties))


_ADAPTERS: dict[str, Callable[[Lake, SparkSession | None, Locks], TableStore]] = {
    "delta": _delta,
    "iceberg": _iceberg,
}
FORMATS = tuple(_ADAPTERS)
