"""What `lakehouse doctor` reports: what is installed, beside what is needed.

The large packages (Spark, the formats, Prefect, Soda) are not imported here, because one that is
broken or missing is what this module has to describe.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from storage.errors import LakehouseError
from storage.secrets.stores import full_name, missing
from storage.spark.cache import CACHE_VARIABLE, cache_root
from storage.spark.jars import Jar, jar_faults, jar_folder, locked_jars
from storage.spark.java import SUPPORTED, find_java, starts

DISTRIBUTION = "lakehouse-platform"

_SETUP = "Run `make setup`."
_PIN = re.compile(r"^(\w[\w.-]*)(?:\[[^]]*\])?==([^\s;]+)( *;[^\\\n]+)?", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """One thing that was compared."""

    name: str
    """What was looked at."""
    ok: bool
    """Whether what is there will do."""
    found: str
    """What is there."""
    needed: str
    """What the platform needs."""
    advice: str = ""
    """What to do when it will not do; empty when it will."""


def diagnose(
    lake: Path,
    *,
    min_free_bytes: int,
    min_memory_bytes: int,
    cache: Path | None = None,
    lock: Path | None = None,
    needed_extensions: Sequence[str] = (),
    session_extensions: Callable[[], Sequence[str]] | None = None,
    secrets: Sequence[str] = (),
) -> list[Finding]:
    """Compare this machine and environment with what a run needs.

    Args:
        lake: Root of the lake; need not exist yet.
        min_free_bytes: Free room that the disks of the lake and the cache must have.
        min_memory_bytes: Memory that the machine must have.
        cache: Root of the cache; the user's own when not given.
        lock: The `requirements.lock` to compare installed packages with; left out when not given.
        needed_extensions: Class names of the SQL extensions that a session must have loaded.
        session_extensions: Starts a session and gives the extensions that are really loaded;
            they are not looked at when not given.
        secrets: Names of the secrets that the configuration refers to.

    Returns:
        One finding for each thing looked at, the good ones included. Nothing is raised for what
        is wrong: that is a finding.
    """
    cache = cache or cache_root()
    findings = [check_python(), *check_requirements()]
    if lock is not None:
        findings.append(check_lock(lock))
    findings += [check_java(cache), check_spark_home(os.environ), check_jars(cache)]
    if session_extensions is not None:
        findings.append(check_extensions(session_extensions, needed_extensions))
    for name, folder, setting in (("lake", lake, "paths.lake"), ("cache", cache, CACHE_VARIABLE)):
        findings.append(check_writable(name, folder, setting))
        findings.append(check_free_disk(name, folder, setting, min_free_bytes))
    findings.append(check_memory(min_memory_bytes))
    return [*findings, *map(check_secret, secrets)]


def check_python(distribution: str = DISTRIBUTION) -> Finding:
    """The running interpreter against the distribution's `requires-python`."""
    found = platform.python_version()
    try:
        needed = importlib.metadata.metadata(distribution)["Requires-Python"] or ""
    except importlib.metadata.PackageNotFoundError:
        return Finding("python", False, found, f"{distribution} installed in it", _SETUP)
    ok = SpecifierSet(needed).contains(found, prereleases=True)
    return _finding(
        "python", ok, found, needed, "Remove .venv, then run `make setup PYTHON=python3.11`."
    )


def check_requirements(distribution: str = DISTRIBUTION) -> Iterator[Finding]:
    """Every direct dependency of the distribution against its specifier; development ones not."""
    try:
        declared = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(distribution, False, "not installed", "installed", _SETUP)
        return
    for requirement in map(Requirement, declared):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _installed(requirement.name)
        ok = found is not None and requirement.specifier.contains(found, prereleases=True)
        needed = str(requirement.specifier) or "any"
        yield _finding(requirement.name, ok, found or "not installed", needed, _SETUP)


def check_lock(lock: Path) -> Finding:
    """Every installed package that the lock names against its locked version.

    Packages of the lock that are not installed are no fault: the lock covers development and
    other systems too, and what is needed here is checked as a requirement.
    """
    name, needed = "locked packages", f"the versions in {lock}"
    try:
        pins = _pins(lock.read_text(encoding="utf-8"))
    except OSError as error:
        return Finding(name, False, f"cannot be read: {error.strerror}", needed, _SETUP)
    installed = {package: found for package in pins if (found := _installed(package))}
    differing = [
        f"{package} {found} instead of {pins[package]}"
        for package, found in installed.items()
        if found != pins[package]
    ]
    found = "; ".join(differing) or f"{len(installed)} as locked"
    return _finding(name, bool(installed) and not differing, found, needed, _SETUP)


def check_java(cache: Path) -> Finding:
    """The Java runtime that Spark would be started on, started once."""
    needed = " or ".join(map(str, SUPPORTED))
    try:
        java = find_java(cache)
    except (LakehouseError, OSError) as error:
        advice = getattr(error, "advice", "") or f"Set {CACHE_VARIABLE} to a writable folder."
        return Finding("java", False, getattr(error, "message", str(error)), needed, advice)
    found = f"{java.version} from {java.source}{', with shim' if java.shimmed else ''}"
    trouble = starts(java)
    if trouble:
        found = f"{found}, does not start: {trouble}"
    return _finding("java", not trouble, found, needed, "Set JAVA_HOME to a Java that starts.")


def check_spark_home(environ: Mapping[str, str]) -> Finding:
    """`SPARK_HOME`, which would make the pinned pyspark start another Spark's jars."""
    found = environ.get("SPARK_HOME", "")
    return _finding(
        "SPARK_HOME", not found, found or "not set", "not set", "Run `unset SPARK_HOME`."
    )


def check_jars(cache: Path, jars: Sequence[Jar] | None = None) -> Finding:
    """Every locked jar against its full SHA-256."""
    try:
        jars = locked_jars() if jars is None else jars
    except LakehouseError as error:
        return Finding("jars", False, error.message, "a readable jars.lock", error.advice)
    faults = jar_faults(cache, jars)
    found = "; ".join(faults) or f"{len(jars)} as locked in {jar_folder(cache)}"
    return _finding("jars", not faults, found, f"{len(jars)} with locked SHA-256", _SETUP)


def check_secret(name: str) -> Finding:
    """A secret can be looked up; its value is not shown."""
    place = full_name(name)
    trouble = missing(name)
    return _finding(
        f"secret {name}", not trouble, trouble or f"set ({place})", f"{place} holds a value",
        "Set it where it is looked up; docs/how-to/secrets.md says how.",
    )  # fmt: skip


def check_extensions(loaded: Callable[[], Sequence[str]], needed: Sequence[str]) -> Finding:
    """The SQL extensions of a started session; Spark itself only warns of a missing one."""
    names = ", ".join(needed)
    try:
        found = loaded()
    except LakehouseError as error:
        return Finding("SQL extensions", False, error.message, names, error.advice or _SETUP)
    except Exception as error:  # noqa: BLE001 # whatever stops Spark is the finding
        return Finding("SQL extensions", False, f"no session: {error}", names, _SETUP)
    ok = set(needed) <= set(found)
    return _finding("SQL extensions", ok, ", ".join(found) or "none", names, _SETUP)


def check_writable(name: str, folder: Path, setting: str) -> Finding:
    """Whether files can be written to a folder, or to the nearest one above it that exists."""
    existing = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"x")
            file.flush()
        found, ok = "writable", True
    except OSError as error:
        found, ok = f"{existing}: {error.strerror}", False
    advice = f"Give this user write access to {existing}, or set {setting} to another folder."
    return _finding(f"{name} folder", ok, found, f"{folder} writable", advice)


def check_free_disk(name: str, folder: Path, setting: str, min_bytes: int) -> Finding:
    """Free room, in bytes, on the disk of a folder."""
    free = shutil.disk_usage(_nearest(folder)).free
    advice = f"Free some room, or set {setting} to a folder on another disk."
    return _finding(f"{name} disk", free >= min_bytes, _size(free), _size(min_bytes), advice)


def check_memory(min_bytes: int) -> Finding:
    """The machine's memory, in bytes."""
    total = psutil.virtual_memory().total
    advice = "Lower spark.driver_memory, or use a larger machine."
    return _finding("memory", total >= min_bytes, _size(total), _size(min_bytes), advice)


def healthy(findings: Iterable[Finding]) -> bool:
    """True when nothing needs doing."""
    return all(finding.ok for finding in findings)


def _finding(name: str, ok: bool, found: str, needed: str, advice: str) -> Finding:
    return Finding(name, ok, found, needed, "" if ok else advice)


def _pins(text: str) -> dict[str, str]:
    """Package to version of the lines whose marker fits this interpreter and system."""
    pins = {}
    for name, version, marker in _PIN.findall(text):
        requirement = Requirement(f"{name}=={version}{marker}")
        if requirement.marker is None or requirement.marker.evaluate():
            pins[name] = version
    return pins


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next((path for path in (folder, *folder.parents) if path.is_dir()), folder)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
