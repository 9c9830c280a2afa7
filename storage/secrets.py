"""Secrets by reference: configuration holds names, values are looked up where a connection is opened.

`${secret:NAME}` composes to the reference `{secret:NAME}`, which may be printed, stored and hashed. Only
`reveal` turns it into the value, and remembers the value so that `hidden` can take it out of messages.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping

from storage.errors import ConfigurationError

HIDDEN = "***"
_REFERENCE = re.compile(r"\{secret:([^{}]+)\}")
_revealed: set[str] = set()
_REVEALING = threading.Lock()


def reference(name: str) -> str:
    """The text that stands for a secret in composed configuration."""
    return f"{{secret:{name}}}"


def reveal(text: str) -> str:
    """The text with each reference replaced by its secret.

    Raises:
        ConfigurationError: A secret is not set.
    """
    return _REFERENCE.sub(lambda matched: _looked_up(matched[1]), text)


def revealed(texts: Mapping[str, str]) -> dict[str, str]:
    """The mapping with its values revealed.

    Raises:
        ConfigurationError: A secret is not set.
    """
    return {name: reveal(text) for name, text in texts.items()}


def hidden(text: str) -> str:
    """The text without any secret that this process has revealed."""
    with _REVEALING:
        known = sorted(_revealed, key=len, reverse=True)
    for value in known:
        text = text.replace(value, HIDDEN)
    return text


def _looked_up(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigurationError(
            f"the secret {name} is not set", advice=f"Set the environment variable {name}."
        )
    with _REVEALING:
        _revealed.add(value)
    return value
