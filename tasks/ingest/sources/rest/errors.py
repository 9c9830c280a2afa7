"""What an API's answer means for a run: whether a repeat may help, and what a person should do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from requests.exceptions import SSLError

from storage.errors import InputError, LakehouseError, TerminalError, TransientError
from storage.secrets import hidden

UNAUTHORIZED, FORBIDDEN, TOO_MANY = 401, 403, 429
SAID_CHARACTERS = 300
"""How much of an answer an error repeats."""


def is_overload(status: int) -> bool:
    """Whether the server may give later what it could not give now."""
    return status == TOO_MANY or status >= 500


def refusal(who: str, response: Any) -> LakehouseError:
    """The error of an answer other than success.

    Args:
        who: What answered, for people; without query, which may hold a key.
        response: The answer, of `requests`.
    """
    status: int = response.status_code
    text = hidden(f"{who} answered {status}: {_said(response)}")
    if is_overload(status):
        wait = response.headers.get("Retry-After", "")
        asked = f" It asks to wait {wait} seconds." if wait.isdigit() else ""
        return TransientError(text, advice=f"Run again later.{asked}")
    if status in (UNAUTHORIZED, FORBIDDEN):
        return TerminalError(text, advice="Check the secrets of `rest.auth` and what they permit.")
    if 300 <= status < 400:
        return TerminalError(text, advice="Redirects are not followed: set `rest.url` and `path`.")
    return InputError(text, advice="Check path, params and body of the source's `rest`.")


def unreached(who: str, error: BaseException) -> LakehouseError:
    """The error of a request that got no whole answer. The error's own text may hold the query."""
    reasons = [str(c) for c in _chain(error) if isinstance(c, OSError) and c.errno and c.strerror]
    reason = reasons[-1] if reasons else type(error).__name__
    if isinstance(error, SSLError):
        return TerminalError(
            hidden(f"{who} has no certificate that is trusted: {reason}"),
            advice="Check `rest.url`, and the certificates that this machine trusts.",
        )
    return TransientError(
        hidden(f"{who} gave no whole answer: {reason}"),
        advice="Check `rest.url` and the network, then run again.",
    )


def _said(response: Any) -> str:
    """The message in an error's body, or the beginning of the body."""
    text = response.content.decode("utf-8", "replace").strip()
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if isinstance(body, dict):
        told = [body.get(k) for k in ("message", "error_description", "detail", "error", "title")]
        text = next((t for t in told if isinstance(t, str) and t), text)
    return " ".join(text.split())[:SAID_CHARACTERS] or "(no text)"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it wraps and what it came from; bounded, since an error may name itself."""
    for _ in range(12):
        if error is None:
            return
        yield error
        inner = next((a for a in error.args if isinstance(a, BaseException)), None)
        reason = getattr(error, "reason", None)
        error = (reason if isinstance(reason, BaseException) else None) or inner or (
            error.__cause__ or error.__context__
        )  # fmt: skip
