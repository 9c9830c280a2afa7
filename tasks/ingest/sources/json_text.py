"""JSON read so that every scalar keeps the text it was written with."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

DEEPEST = 200
"""Levels of lists and objects in one another; what is deeper could not be written again."""
SHOWN = 10
"""Names in a message."""


class Number(str):
    """A JSON number as it was written: 1.10 stays 1.10, and no digit is lost."""

    __slots__ = ()


def parse(text: str) -> Any:
    """Read one JSON value; a byte order mark before it is passed over.

    Raises:
        ValueError: It is not JSON (RFC 8259), an object names a key twice, a string holds half of a
            surrogate pair, or it is nested more than `DEEPEST` levels deep.
    """
    try:
        value = _DECODER.decode(text.removeprefix("\ufeff"))
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > DEEPEST:
        _refuse_depth(value)
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def text_of(value: Any) -> str | None:
    """A value as a column's text: strings and numbers as they are, the rest as compact JSON."""
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    return compact(value)


def compact(value: Any) -> str:
    """JSON without spaces; numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        pairs = (f"{_ENCODER.encode(k)}:{compact(v)}" for k, v in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return _ENCODER.encode(value)


def _refused(constant: str) -> None:
    raise ValueError(f"it holds {constant}, which is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        doubled = sorted(name for name, times in counts.items() if times > 1)
        raise ValueError(f"it names {', '.join(map(repr, doubled[:SHOWN]))} more than once")
    return found


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST):
        inner = (v for v in level if isinstance(v, dict | list))
        level = [v for held in inner for v in (held.values() if isinstance(held, dict) else held)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"it is nested too deeply, more than {DEEPEST} levels")


def _refuse_surrogates(value: Any) -> None:
    try:
        compact(value).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair") from None


# Made once: `json.loads` and `json.dumps` with options make one for each value.
_DECODER = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=_refused, object_pairs_hook=_unique
)
_ENCODER = json.JSONEncoder(ensure_ascii=False)
