"""JDBC drivers beside those of PostgreSQL and SQLite, which every session has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from storage.errors import ConfigurationError
from storage.spark.ivy import ivy_resolver
from storage.spark.jars import Jar, fetch_jars, locked_jars
from storage.spark.java import JavaHome

LOCK_FILE = Path(__file__).with_name("drivers.lock")


def driver_paths(drivers: Sequence[str], *, cache: Path, java: JavaHome) -> tuple[Path, ...]:
    """Jars of the drivers, in their order; one that is locked is fetched when it is not there.

    Args:
        drivers: Names (`snowflake`, `redshift`) or paths of jars.
        cache: Root of the cache.
        java: Runs the resolver.

    Raises:
        ConfigurationError: A name is not known, or no file is at a path.
        JarDownloadError: A jar could not be fetched.
        JarError: A fetched jar is not the locked one, or cannot be kept.
    """
    known = {jar.coordinates.split(":")[1].split("-")[0]: jar for jar in locked_jars(LOCK_FILE)}
    return tuple(_path(driver, known, cache, java) for driver in drivers)


def _path(driver: str, known: dict[str, Jar], cache: Path, java: JavaHome) -> Path:
    if driver in known:
        resolver = partial(ivy_resolver, java=java)
        return fetch_jars(cache, lambda *_: None, resolver, jars=[known[driver]])[0]
    if driver.endswith(".jar") and Path(driver).is_file():
        return Path(driver).absolute()
    raise ConfigurationError(
        f"spark.drivers: {driver!r} is not a driver",
        advice=f"Write {' or '.join(sorted(known))}, or the path of a jar that is there.",
    )
