"""Secrets by reference: configuration holds names, values are looked up where a connection is opened.

`${secret:NAME}` composes to the reference `{secret:NAME}`, which may be printed, stored and hashed. Only
`reveal` turns it into the value, and remembers the value so that `hidden` can take it out of messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from storage.masking import HIDDEN, hidden, keep
from storage.secrets.stores import looked_up

__all__ = ["HIDDEN", "hidden", "keep", "names", "reference", "reveal", "revealed", "revealed_in"]

_REFERENCE = re.compile(r"\{secret:([^{}]+)\}")


def reference(*name: object) -> str:
    """The text that stands for a secret in composed configuration; a second part is a key inside of it."""
    return f"{{secret:{','.join(map(str, name))}}}"


def names(text: str) -> list[str]:
    """The secrets that a text refers to."""
    return _REFERENCE.findall(text)


def reveal(text: str) -> str:
    """The text with each reference replaced by its secret.

    Raises:
        ConfigurationError: A secret is not set.
        TransientError: The store of a secret does not answer.
    """
    return _REFERENCE.sub(lambda matched: _kept(looked_up(matched[1])), text)


def revealed(texts: Mapping[str, str]) -> dict[str, str]:
    """The mapping with its values revealed.

    Raises:
        ConfigurationError: A secret is not set.
        TransientError: The store of a secret does not answer.
    """
    return {name: reveal(text) for name, text in texts.items()}


def revealed_in(value: Any) -> Any:
    """The value with every text in it revealed, whatever its depth.

    Raises:
        ConfigurationError: A secret is not set.
        TransientError: The store of a secret does not answer.
    """
    if isinstance(value, Mapping):
        return {name: revealed_in(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [revealed_in(inner) for inner in value]
    return reveal(value) if isinstance(value, str) else value


def _kept(value: str) -> str:
    keep(value)
    return value
