"""What other distributions add, by the entry points of a group."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

from storage.errors import ConfigurationError


def extensions(group: str, what: str) -> Iterator[Any]:
    """The objects that the entry points of a group name.

    Args:
        group: Name of the group.
        what: What one of them is, for the error.

    Raises:
        ConfigurationError: One cannot be loaded.
    """
    for entry in entry_points(group=group):
        try:
            made = entry.load()
        except Exception as error:
            raise ConfigurationError(
                f"the {what} {entry.value} cannot be loaded: {type(error).__name__}: {error}",
                advice="Install a version of its package that fits, or remove it.",
            ) from error
        yield made
