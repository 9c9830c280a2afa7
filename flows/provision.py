"""The part of set-up that needs Python: a Java runtime and the jars. Run by `make setup`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from storage.errors import LakehouseError
from storage.spark.cache import cache_root
from storage.spark.jars import Jar, fetch_jars, jar_folder, jar_paths, locked_jars
from storage.spark.java import JavaHome, find_java


def provision(cache: Path) -> JavaHome:
    """See that Java and the jars are there, and fetch what is not; quick when all is there.

    Raises:
        LakehouseError: Something is missing and could not be fetched.
    """
    java = find_java(cache)
    _say(f"Java {java.version} ({java.source}{', with shim' if java.shimmed else ''})")
    try:
        paths = jar_paths(cache)
    except LakehouseError:
        paths = _fetch(cache, java)
    _say(f"{len(paths)} jars in {jar_folder(cache)}")
    return java


def _fetch(cache: Path, java: JavaHome) -> tuple[Path, ...]:
    # Only here: a set-up with nothing to do must not pay for importing Spark and the progress bar.
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    from storage.spark.ivy import ivy_resolver  # noqa: PLC0415

    live = sys.stdout.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), disable=not live) as bars:
        tasks = {}

        def show(jar: Jar, arrived: int) -> None:
            if jar not in tasks:
                tasks[jar] = bars.add_task(jar.file_name, total=jar.bytes)
                if not live:
                    _say(f"fetching {jar.file_name} ({jar.bytes / 1e6:.1f} MB)")
            bars.update(tasks[jar], completed=arrived)

        total = sum(jar.bytes for jar in locked_jars())
        _say(f"fetching jars to {jar_folder(cache)} (once, {total / 1e6:.0f} MB)")
        return fetch_jars(cache, show, partial(ivy_resolver, java=java))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Provision the user's cache; returns the exit status."""
    try:
        provision(cache_root())
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; `make setup` goes on from here\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
