"""Answers of an API in which a record is at fault: that record is told from the others, which are sound.

`json_text.parse` refuses a text as a whole. Here what is not JSON by RFC 8259, and still can be read, stays
in its place: NaN and infinities, keys named twice, halves of surrogate pairs, bytes that are not UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.ingest.sources.json_text import DEEPEST, Number

ESCAPED_BYTES = range(0xDC80, 0xDD00)
"""As what Python's `surrogateescape` reads bytes that are not UTF-8."""


class Constant(Number):
    """`NaN`, `Infinity` or `-Infinity`, which JSON has no numbers for."""

    __slots__ = ()


class Doubled(dict[str, Any]):
    """An object that names a key twice, with all that it holds."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


@dataclass(frozen=True)
class Faulty:
    """A record that is not valid JSON, or not an object.

    Attributes:
        says: Why.
        where: Which record of which page it is.
        line: The record as JSON, with what is wrong in it.
        values: Its keys, where it is an object.
    """

    says: str
    where: str
    line: str
    values: dict[str, Any]


def parse_leniently(content: bytes) -> Any:
    """Read one JSON value in which faults may be; a byte order mark before it is passed over.

    Raises:
        ValueError: It is not JSON, or nested too deeply to be read.
    """
    text = content.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def judged(record: Any, where: str) -> dict[str, Any] | Faulty:
    """The record, or what is wrong with it."""
    says = next(_faults(record), "") if isinstance(record, dict) else "it is not a JSON object"
    if not says:
        return record  # type: ignore[no-any-return]
    return Faulty(says, where, _written(record), record if isinstance(record, dict) else {})


def _faults(record: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a record, each with the key that it stands under."""
    yield from _of(record)
    for key, value in record.items():
        yield from _of(key)
        yield from (f"{key}: {fault}" for fault in _within(value))


def _within(value: Any) -> Iterator[str]:
    """The faults of a value, level by level: a record may be deeper than Python calls."""
    level = [value]
    for _ in range(DEEPEST):
        for one in level:
            yield from _of(one)
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    yield f"it is nested too deeply, more than {DEEPEST} levels"


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _of(value: Any) -> Iterator[str]:
    """The faults of one value, without those inside it."""
    if isinstance(value, Constant):
        yield f"it holds {value}, which is not JSON"
    elif isinstance(value, Doubled):
        names = [name for name, _ in value.pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        yield f"it names {', '.join(map(ascii, twice))} more than once"
    elif isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            escaped = ord(value[error.start]) in ESCAPED_BYTES
            what = "a byte that is not UTF-8" if escaped else "half of a surrogate pair"
            yield f"it holds {what}"


def _written(record: Any) -> str:
    """The record as JSON in ASCII, so that whatever it holds can be stored."""
    try:
        return _ascii(record)
    except RecursionError:
        return json.dumps(record)  # deeper than that no answer is read; its numbers become texts


def _ascii(value: Any) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        items = value.pairs if isinstance(value, Doubled) else value.items()
        return "{" + ",".join(f"{json.dumps(key)}:{_ascii(inner)}" for key, inner in items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_ascii, value)) + "]"
    return json.dumps(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Doubled(pairs)


_DECODER = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=Constant, object_pairs_hook=_object
)
