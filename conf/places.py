"""Folders of the configuration: absolute, and of names with which everything below them works."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from conf.domains import absolute
from conf.schema import Config
from storage.errors import ConfigurationError
from tasks.landing.folders import is_remote
from tasks.landing.names import text_of

FOLDERS = ("landing", "lake", "staging", "logs", "reports", "cache")
TABLES = ("lake", "staging")
"""Folders that Spark and the readers of Delta, Iceberg and Parquet open."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REFUSED = (
    (re.compile(r"[#?]"), "readers of tables take what follows it for another part of an address"),
    (re.compile(r"%[0-9A-Fa-f]{2}"), "readers of tables take it for an escaped sign"),
    (re.compile(r"[*\[{}\\]"), "Spark takes it for a part of a pattern of names"),
    (re.compile(r"[\]^|]"), "the library that writes Delta tables cannot name it"),
)


def place(config: Config) -> None:
    """Make every folder absolute; a relative one counts from the working directory.

    Raises:
        ConfigurationError: A folder has a name that not everything can work with, or is none of this machine.
    """
    for name in FOLDERS:
        if name != "landing" or not is_remote(config.paths.landing):
            setattr(config.paths, name, _absolute(f"paths.{name}", getattr(config.paths, name)))
    config.spark.local_dir = _absolute("spark.local_dir", config.spark.local_dir)
    config.spark.log_file = _absolute("spark.log_file", config.spark.log_file)
    if config.export.folder:
        config.export.folder = str(absolute(_local("export.folder", config.export.folder)))
    config.domains = os.pathsep.join(
        str(absolute(d)) for d in config.domains.split(os.pathsep) if d
    )
    found = [problem for problem in _problems(config) if problem]
    if found:
        raise ConfigurationError(
            "; ".join(found),
            advice="Choose another folder, or give a link to it that has another name.",
        )


def _absolute(key: str, path: str) -> str:
    return str(Path(_local(key, path)).absolute())


def _local(key: str, path: str) -> str:
    if is_remote(path):
        raise ConfigurationError(
            f"{key}: {path} is an address, and has to be a folder of this machine",
            advice="Only paths.landing may be in an object store.",
        )
    expanded = os.path.expanduser(path)
    if expanded.startswith("~"):
        user = expanded.split("/", maxsplit=1)[0]
        raise ConfigurationError(
            f"{key}: {path}: there is no user {user[1:]} on this machine",
            advice=f"Write {key}=./{path} for a folder of that name.",
        )
    return expanded


def _problems(config: Config) -> Iterator[str]:
    places = {f"paths.{name}": getattr(config.paths, name) for name in FOLDERS}
    places |= {"spark.local_dir": config.spark.local_dir, "export.folder": config.export.folder}
    for key, path in places.items():
        if text_of(path) != path or _CONTROL.search(path):
            yield f"{key}: {text_of(path)!r} holds a control character, or bytes that are not UTF-8"
    for name in TABLES:
        path = getattr(config.paths, name)
        for signs, reason in _REFUSED:
            if found := signs.search(path):
                yield f"paths.{name}: {path} holds {found[0]}, and {reason}"
    if ":" in config.paths.cache:
        yield f"paths.cache: {config.paths.cache} holds :, which separates the entries of Java's class path"
    if "," in config.spark.local_dir:
        yield f"spark.local_dir: {config.spark.local_dir} holds a comma, at which Spark begins another folder"
