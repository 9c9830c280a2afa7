"""What a run needs at run time: one Spark session a process, a context for each step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from pyspark.sql import SparkSession

from checks.deferred import DeferredScanner
from conf.formats import layer_formats
from conf.schema import Catalog, Config
from storage.disk import write_text
from storage.errors import ConfigurationError
from storage.lake_store import LakeStore
from storage.postgres import PostgresAddress
from storage.registry import Lake
from storage.spark.drivers import driver_paths
from storage.spark.jars import jar_paths
from storage.spark.java import find_java
from storage.spark.session import jvm_pid, start_session
from tasks.context import Context, RunInfo
from tasks.landing.folders import landing_of

DISTRIBUTION = "lakehouse-platform"
_STARTING = threading.Lock()


def code_version() -> str:
    """Version of the installed platform."""
    return version(DISTRIBUTION)


def new_run(
    *, rebuild: bool = False, again: tuple[str, ...] = (), as_of: str | None = None
) -> RunInfo:
    """A run that starts now."""
    now = datetime.now(UTC)
    run_id = f"{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
    return RunInfo(run_id, now, code_version(), rebuild, again, as_of)


@dataclass(frozen=True)
class Runtime:
    """A run's configuration and identity, from which contexts are made."""

    config: Config
    run: RunInfo

    @property
    def lake(self) -> Lake:
        """The lake of the run."""
        return lake_of(self.config)

    def metadata_store(self) -> LakeStore:
        """A store without Spark: metadata and small tables only."""
        return self.lake.store(None)

    def store(self) -> LakeStore:
        """A store on a Spark session of its own."""
        session = spark_session(self.config)
        return self.lake.store(session, jvm_pid(session))

    def context(self, *, spark: bool = True) -> Context:
        """A context on a Spark session of its own, or without Spark."""
        paths = self.config.paths
        return Context(
            store=self.store() if spark else self.metadata_store(),
            scanner=DeferredScanner(),
            domain=self.config.domain,
            landing=landing_of(paths.landing, paths.landing_options),
            staging=Path(paths.staging),
            run=self.run,
        )


def run_lock(config: Config) -> str:
    """Name of the lock that a run of a domain holds, whatever the formats: a table may have any."""
    return f"run.{config.domain.name}"


@contextmanager
def domain_lock(runtime: Runtime) -> Iterator[None]:
    """While inside, no other run works on the domain."""
    config = runtime.config
    seconds = config.locking.run_seconds
    with runtime.lake.locks().hold(run_lock(config), timeout_seconds=seconds):
        _claim_staging(Path(config.paths.staging), Path(config.paths.lake).resolve())
        yield


def _claim_staging(staging: Path, lake: Path) -> None:
    """Let a staging folder belong to one lake: attempts of two lakes can have the same tokens.

    Raises:
        ConfigurationError: It belongs to another lake.
    """
    file = staging / "_lake"
    owner = Path(file.read_text("utf-8")) if file.is_file() else None
    if owner == lake:
        return
    if owner is not None and owner.is_dir():  # otherwise the lake has moved here
        raise ConfigurationError(
            f"paths.staging: {staging} is the staging folder of the lake {owner}",
            advice="Give each lake its own; without paths.staging it is in the lake.",
        )
    write_text(file, str(lake))


def lake_of(config: Config) -> Lake:
    """The lake that a configuration names."""
    return Lake(
        root=Path(config.paths.lake),
        format=config.format.name,
        properties=config.format.properties,
        lock_seconds=config.locking.table_seconds,
        busy_timeout_ms=config.catalog.busy_timeout_ms,
        layers=layer_formats(config.format),
        catalog=_shared(config.catalog),
    )


def _shared(catalog: Catalog) -> PostgresAddress | None:
    if catalog.name != "postgres":
        return None
    return PostgresAddress(catalog.url, catalog.user, catalog.password)


def spark_session(config: Config, launched: Callable[[], None] = lambda: None) -> SparkSession:
    """The process's session; started by the first caller.

    Args:
        config: The configuration.
        launched: Called when the JVM is there: no other thread may import anything before (`start_session`).
    """
    with _STARTING:
        cache = Path(config.paths.cache)
        java = find_java(cache)
        drivers = driver_paths(config.spark.drivers, cache=cache, java=java)
        return start_session(
            config.spark,
            java_home=java.home,
            jars=[*jar_paths(cache), *drivers],
            app_name=f"lakehouse {config.domain.name}",
            launched=launched,
        )
