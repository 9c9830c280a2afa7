"""Lakes: where tables live, and the stores that reach them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from storage.formats import named
from storage.formats.format import Place
from storage.lake_store import LakeStore
from storage.locks import Locks
from storage.placement import Placements

if TYPE_CHECKING:
    from storage.postgres import PostgresAddress


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
            named(name)
        own = session.newSession() if session is not None else None
        locks = self.locks(jvm_pid)
        placements = Placements(self.root, self.layers, self.format)
        return LakeStore(
            own, placements, lambda name: named(name).load(self._place(name), own, locks)
        )

    def _place(self, name: str) -> Place:
        properties = self.properties.get(name, {})
        return Place(self.root / name, properties, self.busy_timeout_ms, self.catalog)
