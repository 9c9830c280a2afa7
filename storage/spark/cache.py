"""Where fetched jars and the Java shim live: outside the repository, shared by every clone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CACHE_VARIABLE = "LAKEHOUSE_CACHE"


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of things that are fetched or made once for a machine and can be deleted any time.

    `LAKEHOUSE_CACHE` when set, else `lakehouse` below the user's cache folder.
    """
    if chosen := environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser().absolute()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lakehouse"
