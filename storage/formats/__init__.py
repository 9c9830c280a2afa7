"""Table formats: each a folder that describes itself as a `Format`.

A package of another distribution adds one by an entry point of the group `lakehouse.formats` that names it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from storage.errors import ConfigurationError
from storage.extensions import extensions
from storage.formats.format import EVERY_LAYER, Format

GROUP = "lakehouse.formats"
_OWN = ("delta", "iceberg", "parquet")


@cache
def known() -> dict[str, Format]:
    """Every format by its name: the platform's own, then those of other distributions.

    Raises:
        ConfigurationError: Another distribution's cannot be loaded.
    """
    own = [import_module(f"storage.formats.{name}.format").FORMAT for name in _OWN]
    found: dict[str, Format] = {made.name: made for made in own}
    for made in extensions(GROUP, "table format"):
        found.setdefault(made.name, made)
    return found


def named(name: str) -> Format:
    """The format of that name.

    Raises:
        ConfigurationError: There is none.
    """
    try:
        return known()[name]
    except KeyError:
        raise ConfigurationError(f"format {name!r} is none of {', '.join(known())}") from None


def formats_for(*layers: str) -> tuple[str, ...]:
    """Names of the formats that serve all of these layers; without any, every layer."""
    wanted = set(layers or EVERY_LAYER)
    return tuple(name for name, made in known().items() if wanted <= set(made.layers))
