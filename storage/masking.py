"""Secrets that this process knows are masked in every text that people read.

Errors of the platform are masked when they are made, log records when they are written. Positions in commit
records are not texts and stay as they are: a short secret could be part of one.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"
LONG = 8
"""Lines of a secret that are at least this long are masked by themselves too. A shorter secret, such as a
user's name, is masked where it stands as a word, not within one."""
_known: frozenset[str] = frozenset()
_pattern: re.Pattern[str] | None = None
_KEEPING = threading.Lock()


def keep(secret: str) -> None:
    """Mask a secret from now on, also where it is percent-encoded, escaped or in Base64.

    For what is derived from a secret as well: an access token, an authorization header.
    """
    global _known, _pattern  # noqa: PLW0603 - replaced whole, so that readers need no lock
    parts = [secret, *(line for line in secret.splitlines() if len(line) >= LONG)]
    found = {form for part in parts if part.strip() for form in _forms(part)}
    with _KEEPING:
        if not found <= _known:
            _known |= found
            longest_first = sorted(_known, key=len, reverse=True)
            _pattern = re.compile("|".join(map(_searched, longest_first)))
    mask_logs()


def hidden(text: str) -> str:
    """The text without any secret that this process has revealed."""
    return _pattern.sub(HIDDEN, text) if _pattern else text


def hold_back(factory: Any) -> Any:
    """A factory of log records whose message and traceback hold no secret that is known."""

    def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = factory(*args, **kwargs)
        if _pattern is None:
            return record
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # the handler reports it
            return record
        if hidden(message) != message:
            record.msg, record.args = hidden(message), ()
        if record.exc_info and record.exc_info[0] is not None:
            told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            if hidden(told) != told:
                # formatters take the text where there is one; others would render the exception itself
                record.exc_text, record.exc_info = hidden(told), None
        return record

    made.masks = True  # type: ignore[attr-defined]
    return made


def mask_logs() -> None:
    """Mask the records of every logger of this process; a repeat changes nothing."""
    factory = logging.getLogRecordFactory()
    if not getattr(factory, "masks", False):
        logging.setLogRecordFactory(hold_back(factory))


def _searched(form: str) -> str:
    """The form as a regular expression."""
    plain = re.escape(form)
    return plain if len(form) >= LONG else rf"(?<![^\W_]){plain}(?![^\W_])"


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield from _in_base64(secret.encode())


def _in_base64(secret: bytes) -> Iterator[str]:
    """What of the secret's Base64 does not depend on what stands before and after it.

    In `user:password` the password begins at any of three places within a group of three bytes.
    """
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * before + secret).decode()
            first = -(-before * 8 // 6)
            last = (before + len(secret)) * 8 // 6
            if last - first >= LONG:
                yield whole[first:last]
    if secret:
        yield base64.b64encode(secret).decode()
