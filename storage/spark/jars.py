"""The jars that Spark starts with: fetched once into the cache, verified, then local files."""

from __future__ import annotations

import hashlib
import shutil
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from storage.errors import TerminalError
from storage.spark.cache import CACHE_VARIABLE, cache_root

LOCK_FILE = Path(__file__).with_name("jars.lock")

_POLL_SECONDS = 0.2


class JarError(TerminalError):
    """A jar is missing, is not the one that was locked, or cannot be kept."""


@dataclass(frozen=True)
class Jar:
    """One locked jar."""

    coordinates: str
    """`group:artifact:version`"""
    bytes: int
    sha256: str
    """Hexadecimal, lower case."""

    @property
    def file_name(self) -> str:
        """Name in the cache, such as `delta-storage-4.4.0.jar`."""
        _, artifact, version = self.coordinates.split(":")
        return f"{artifact}-{version}.jar"


Progress = Callable[[Jar, int], None]
"""Called with a jar and the bytes of it that have arrived; the last call has all of them."""

Resolver = Callable[[Path], AbstractContextManager[Callable[[str], Path]]]
"""Opened on a scratch folder, gives a function from coordinates to the fetched file."""


def locked_jars(lock: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """Read the jar lock.

    Raises:
        JarError: The file is not a jar lock; the message names file, entry and field.
    """
    try:
        entries = tomllib.loads(lock.read_text(encoding="utf-8"))["jar"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise JarError(f"{lock} cannot be read as a jar lock: {error}") from error
    return tuple(_parse(entry, f"{lock}, jar {n}") for n, entry in enumerate(entries, start=1))


def jar_paths(cache: Path | None = None, jars: Sequence[Jar] | None = None) -> tuple[Path, ...]:
    """Paths of all jars in the cache, in the lock's order; checks presence and size only.

    Args:
        cache: Root of the cache; the user's own when not given.
        jars: The jars to look for; those of the lock file when not given.

    Raises:
        JarError: A jar is not there or has another size.
    """
    folder = jar_folder(cache)
    jars = locked_jars() if jars is None else jars
    faults = [fault for jar in jars if (fault := _size_fault(folder, jar))]
    if faults:
        raise JarError("\n  ".join(["jars are missing", *faults]), advice="Run `make setup`.")
    return tuple(folder / jar.file_name for jar in jars)


def jar_faults(cache: Path | None = None, jars: Sequence[Jar] | None = None) -> tuple[str, ...]:
    """What is wrong with the jars in the cache, from their full SHA-256; empty when all is well."""
    folder = jar_folder(cache)
    jars = locked_jars() if jars is None else jars
    return tuple(fault for jar in jars if (fault := _fault(folder, jar)))


def fetch_jars(
    cache: Path | None,
    progress: Progress,
    resolver: Resolver,
    *,
    jars: Sequence[Jar] | None = None,
) -> tuple[Path, ...]:
    """Bring every jar of the lock into the cache and verify it.

    A jar appears in the cache whole and verified or not at all, so the call can be interrupted and
    repeated; two calls at the same time wait for each other.

    Args:
        cache: Root of the cache; the user's own when not given.
        progress: Told how far each jar is; not called for jars that are there already.
        resolver: Where missing jars come from; opened only when one is missing.
        jars: The jars to fetch; those of the lock file when not given.

    Raises:
        JarDownloadError: A jar could not be fetched.
        JarError: A fetched jar has another SHA-256 than the locked one, or the cache cannot be
            written.
    """
    folder = jar_folder(cache)
    jars = locked_jars() if jars is None else jars
    if any(_fault(folder, jar) for jar in jars):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                _fetch_missing(folder, jars, progress, resolver)
        except OSError as error:
            raise JarError(
                f"jars cannot be kept in {folder}: {error}",
                advice="Give this user write access and room there, or set "
                f"{CACHE_VARIABLE} to another folder.",
            ) from error
    return tuple(folder / jar.file_name for jar in jars)


def jar_folder(cache: Path | None = None) -> Path:
    """The folder of the jars below the cache's root."""
    return (cache or cache_root()) / "jars"


def _fetch_missing(
    folder: Path, jars: Sequence[Jar], progress: Progress, resolver: Resolver
) -> None:
    missing = [jar for jar in jars if _fault(folder, jar)]
    if not missing:  # another process fetched them while this one waited for the lock
        return
    # Ivy remembers failures and broken pieces in its own cache: each attempt starts from none.
    scratch = folder / ".fetching"
    shutil.rmtree(scratch, ignore_errors=True)
    with resolver(scratch) as fetch:
        for jar in missing:
            fetched = _watched(fetch, jar, scratch, progress)
            _verify(jar, fetched)
            fetched.replace(folder / jar.file_name)
            progress(jar, jar.bytes)
    shutil.rmtree(scratch, ignore_errors=True)


def _watched(fetch: Callable[[str], Path], jar: Jar, scratch: Path, progress: Progress) -> Path:
    """Fetch beside this thread, so that progress is shown and Ctrl-C is answered at once."""
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        future = pool.submit(fetch, jar.coordinates)
        while not future.done():
            progress(jar, min(_arrived(scratch, jar), jar.bytes))
            wait([future], timeout=_POLL_SECONDS)
        return future.result()
    finally:
        pool.shutdown(wait=False)


def _arrived(scratch: Path, jar: Jar) -> int:
    sizes = [0]
    for path in scratch.rglob(f"{jar.file_name}*"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:  # Ivy has just renamed it
            continue
    return max(sizes)


def _verify(jar: Jar, path: Path) -> None:
    found, size = _sha256(path), path.stat().st_size
    if found == jar.sha256:
        return
    path.unlink()
    raise JarError(
        f"{jar.coordinates} is not the jar that was locked\n"
        f"  needed  SHA-256 {jar.sha256}, {jar.bytes} bytes\n"
        f"  fetched SHA-256 {found}, {size} bytes",
        advice="A proxy or mirror may have answered with something else: run `make setup` again. "
        f"If the new jar is wanted, write its sum and size to {LOCK_FILE.name}.",
    )


def _size_fault(folder: Path, jar: Jar) -> str:
    try:
        size = (folder / jar.file_name).stat().st_size
    except OSError:
        return f"{folder / jar.file_name} is not there"
    if size != jar.bytes:
        return f"{folder / jar.file_name} has {size} bytes, not {jar.bytes}"
    return ""


def _fault(folder: Path, jar: Jar) -> str:
    if fault := _size_fault(folder, jar):
        return fault
    try:
        found = _sha256(folder / jar.file_name)
    except OSError as error:
        return f"{folder / jar.file_name} cannot be read: {error.strerror}"
    if found != jar.sha256:
        return f"{folder / jar.file_name} has SHA-256 {found}, not {jar.sha256}"
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parse(entry: object, place: str) -> Jar:
    fields = {"coordinates": str, "bytes": int, "sha256": str}
    if not isinstance(entry, dict) or entry.keys() != fields.keys():
        raise JarError(f"{place}: the fields must be {', '.join(fields)}")
    for name, kind in fields.items():
        if not isinstance(entry[name], kind):
            raise JarError(f"{place}: {name} = {entry[name]!r} is not of type {kind.__name__}")
    jar = Jar(**entry)
    if jar.coordinates.count(":") != 2:
        raise JarError(f"{place}: coordinates {jar.coordinates!r} are not group:artifact:version")
    return jar
