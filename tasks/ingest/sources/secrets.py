"""Credentials of a source: kept out of messages, and refused where a file has them in clear."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from storage.masking import HIDDEN, hidden
from storage.secrets import names as references
from storage.secrets import reference
from tasks.domain.spec import SourceSpec

_NAMED = (
    r"[\w.-]*(?:passw|pwd|passphrase|secret|token|credential|api[_-]?key|private_?key|key\.pem"
    r"|authorization|cookie)[\w.-]*"
)
_ABOUT = re.compile(
    r"[\w.-]*(?:file|path|location|url|uri|callback|provider|encoding)", re.IGNORECASE
)
"""Options that say where a credential is, or what asks for it."""
_SWITCH = re.compile(r"true|false|", re.IGNORECASE)
_PARAMETER = re.compile(
    rf"[?&;,({{]\s*({_NAMED})\s*=\s*(?:\{{([^}}]*)\}}|([^&;,)}}]*))", re.IGNORECASE
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


def unreferenced(options: Mapping[str, str]) -> list[str]:
    """The names of options that hold a credential itself instead of a reference to it."""
    return [n for n, value in options.items() if _is_credential(n, value) and not references(value)]


def has_unreferenced(url: str) -> bool:
    """Whether an address holds a credential itself."""
    for name in references(url):
        url = url.replace(reference(name), "")
    # `//host:1433;user=name@server` has no password
    return any(_parameters(url)) or any(";" not in secret for secret in _passwords(url))


def _is_credential(name: str, value: str) -> bool:
    return bool(
        _OPTION.fullmatch(name) and not _ABOUT.fullmatch(name) and not _SWITCH.fullmatch(value)
    )


def _secrets(source: SourceSpec) -> Iterator[str]:
    yield from (value for n, value in source.options.items() if _is_credential(n, value))
    yield from _in_url(source.url)


def _in_url(url: str) -> Iterator[str]:
    yield from _parameters(url)
    yield from _passwords(url)


def _parameters(url: str) -> Iterator[str]:
    for name, braced, plain in _PARAMETER.findall(url):
        if _is_credential(name, braced or plain):
            yield braced or plain


def _passwords(url: str) -> Iterator[str]:
    for pattern in (_USER_INFO, _ORACLE):
        yield from filter(None, pattern.findall(url))


def _without_secrets(url: str) -> str:
    for secret in sorted(set(_in_url(url)), key=len, reverse=True):
        url = url.replace(secret, HIDDEN)
    return url


REFER = "write ${secret:NAME}, not the secret itself"
