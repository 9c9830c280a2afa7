"""Keeps credentials of a source out of messages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from storage.masking import HIDDEN, hidden
from tasks.spec import SourceSpec

_NAMED = r"[\w.-]*(?:passw|pwd|passphrase|secret|token|credential|api_?key)[\w.-]*"
_PARAMETER = re.compile(
    rf"[?&;,({{]\s*{_NAMED}\s*=\s*(?:\{{([^}}]*)\}}|([^&;,)}}]*))", re.IGNORECASE
)
_USER_INFO = re.compile(r"//[^/?#:@]*:([^/?#]*)@")
_ORACLE = re.compile(r":thin:[^/@]*/([^@]*)@", re.IGNORECASE)
_OPTION = re.compile(_NAMED, re.IGNORECASE)


def redacted(text: str, source: SourceSpec) -> str:
    """The text without any credential of the source: not those in its options, nor those in its url."""
    text = hidden(text)
    text = text.replace(source.url, _without_secrets(source.url)) if source.url else text
    for secret in sorted(set(_secrets(source)), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(source: SourceSpec) -> Iterator[str]:
    for name, value in source.options.items():
        if value and _OPTION.fullmatch(name):
            yield value
    yield from _in_url(source.url)


def _in_url(url: str) -> Iterator[str]:
    for pattern in (_PARAMETER, _USER_INFO, _ORACLE):
        for matched in pattern.finditer(url):
            yield from (group for group in matched.groups() if group)


def _without_secrets(url: str) -> str:
    for secret in sorted(set(_in_url(url)), key=len, reverse=True):
        url = url.replace(secret, HIDDEN)
    return url
