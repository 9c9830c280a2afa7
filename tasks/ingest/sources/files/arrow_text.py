"""Every value of Arrow as text: one form a type, the same by itself and inside of others.

| type | text |
|---|---|
| booleans, whole numbers | `true`, `false`; digits |
| floating-point numbers | widened to 64 bits, the fewest digits that read back; `nan`, `inf`, `-inf` |
| decimals | all digits of their scale, never an exponent |
| text | as it is |
| binary | base64 |
| UUID | `3f2504e0-4f89-41d3-9a0c-0305e82c3301` |
| dates | `2026-03-01`; the ends of their range are `infinity` and `-infinity`, as databases mean them |
| instants | `2026-03-01 10:00:00.12`, in UTC where they have a zone; ends of their range as for dates |
| times of day | `10:00:00`, with the digits of their unit |
| durations, intervals | ISO 8601: `PT1.5S`, `P1M2DT0.5S` |
| lists, structures, unions | compact JSON; a map is a list of pairs, so is a structure with doubled names |
| dictionaries, run ends, extensions | as what they stand for |

In JSON, booleans and numbers are themselves, everything else is the text above, in quotes: decimals, NaN and
infinities too, which JSON has no number for.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Decimal places of a second that a unit counts."""


@dataclass(frozen=True)
class Texts:
    """Values as text.

    Attributes:
        values: Text of each value; null where it is null, or no text.
        not_utf8: What no text holds, by its place: the value, with its bytes as base64.
    """

    values: pa.Array
    not_utf8: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Json:
    """Values as JSON, and the places of those that hold text which is not UTF-8."""

    values: Sequence[str]
    not_utf8: frozenset[int] = frozenset()


def text(values: pa.Array) -> Texts:
    """The text of every value, whatever its type; nulls stay null."""
    values = _stored(values)
    kind = values.type
    if _is_one(kind, "dictionary", "run_end_encoded"):
        places, inner = _encoded(values)
        found = text(inner)
        unread = found.not_utf8
        not_utf8 = {n: unread[p] for n, p in enumerate(places) if p is not None and p in unread}
        return Texts(found.values.take(pa.array(places, pa.int64())), not_utf8)
    if _is_one(kind, "string", "large_string", "string_view"):
        return _strings(values)
    if pa.types.is_nested(kind):
        return _documents(values)
    return Texts(next((made for holds, made in _FORMS if holds(kind)), _cast)(values))


def _stored(values: pa.Array) -> pa.Array:
    """The values of an extension as they are stored; a UUID stays what it is."""
    kind = values.type
    if isinstance(kind, pa.Bool8Type):
        return pc.cast(values.storage, pa.bool_())
    if isinstance(kind, pa.BaseExtensionType) and not isinstance(kind, pa.UuidType):
        return _stored(values.storage)
    return values


def _encoded(values: pa.Array) -> tuple[list[int | None], pa.Array]:
    """Each different value once, and the place of each value among them; Arrow decodes few types."""
    if pa.types.is_dictionary(values.type):
        return values.indices.to_pylist(), values.dictionary
    logical = np.arange(values.offset, values.offset + len(values))
    ends = values.run_ends.to_numpy()
    return np.searchsorted(ends, logical, side="right").tolist(), values.values


def _is_one(kind: pa.DataType, *names: str) -> bool:
    return any(getattr(pa.types, f"is_{name}")(kind) for name in names)


def _cast(values: pa.Array) -> pa.Array:
    """Arrow's own text, or Python's for a type that Arrow writes none of."""
    try:
        return pc.cast(values, pa.string())
    except pa.ArrowNotImplementedError:
        return _each(values, str)


def _each(values: pa.Array, function: Callable[[Any], str]) -> pa.Array:
    found = values.to_pylist()
    return pa.array([None if v is None else function(v) for v in found], pa.string())


def _strings(values: pa.Array) -> Texts:
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        return _readable(pc.cast(values, pa.binary()).to_pylist())
    return Texts(pc.cast(values, pa.string()))


def _readable(values: Iterable[bytes | None]) -> Texts:
    found: list[str | None] = []
    not_utf8: dict[int, str] = {}
    for place, value in enumerate(values):
        try:
            found.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            found.append(None)
            not_utf8[place] = _base64(value or b"")
    return Texts(pa.array(found, pa.string()), not_utf8)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _uuid(value: bytes) -> str:
    digits = value.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _decimals(values: pa.Array) -> pa.Array:
    made = _cast(values)
    if not pc.any(pc.match_substring(made, "E")).as_py():
        return made
    return _each(made, lambda written: format(Decimal(written), "f"))


def _dates(values: pa.Array) -> pa.Array:
    days = pc.cast(values, pa.int32())
    return _within_years(values, days, lambda day: f"{np.datetime64(day, 'D')}", 32)


def _dates64(values: pa.Array) -> pa.Array:
    """Milliseconds; those that are not whole days have a time of day."""
    instants = _instants(pc.cast(values, pa.int64()).view(pa.timestamp("ms")))
    return pc.replace_substring_regex(instants, " 00:00:00$", "")


def _instants(values: pa.Array) -> pa.Array:
    unit = values.type.unit
    count = pc.cast(values, pa.int64())
    plain = pc.cast(count, pa.timestamp(unit))  # zones are UTC inside
    made = _within_years(plain, count, lambda n: f"{np.datetime64(n, unit)}".replace("T", " "), 64)
    whole = pc.replace_substring_regex(made, r"\.0+$", "")
    return pc.replace_substring_regex(whole, r"(\.\d*[1-9])0+$", r"\1")


def _within_years(
    values: pa.Array, counts: pa.Array, beyond: Callable[[int], str], bits: int
) -> pa.Array:
    """Arrow's text, where it has one; what is so far away that it has none is written by `beyond`."""
    made = pc.cast(values, pa.string())
    if not _out_of_range(made):
        return made
    ends = {2 ** (bits - 1) - 1: "infinity"}
    ends |= dict.fromkeys((-(2 ** (bits - 1)), 1 - 2 ** (bits - 1)), "-infinity")
    return _replaced(made, counts, lambda n: ends.get(n) or beyond(n))


def _out_of_range(made: pa.Array) -> bool:
    return bool(pc.any(pc.starts_with(made, "<")).as_py())


def _replaced(made: pa.Array, counts: pa.Array, beyond: Callable[[int], str]) -> pa.Array:
    pairs = zip(made.to_pylist(), counts.to_pylist(), strict=True)
    found = [beyond(n) if written and written[0] == "<" else written for written, n in pairs]
    return pa.array(found, pa.string())


def _times(values: pa.Array) -> pa.Array:
    made = pc.cast(values, pa.string())
    if not _out_of_range(made):
        return made
    places = UNITS[values.type.unit]
    counts = pc.cast(values, pa.int32() if values.type.bit_width == 32 else pa.int64())
    return _replaced(made, counts, lambda n: _clock(n, places))


def _clock(count: int, places: int) -> str:
    """A time of day that no clock shows, such as 24:00:00."""
    seconds, rest = divmod(abs(count), 10**places)
    hours, minutes, sign = seconds // 3600, seconds // 60 % 60, "-" if count < 0 else ""
    fraction = f".{rest:0{places}}" if places else ""
    return f"{sign}{hours:02}:{minutes:02}:{seconds % 60:02}{fraction}"


def _seconds(count: int, places: int) -> str:
    exact = format(Decimal(count).scaleb(-places), "f")
    return exact.rstrip("0").rstrip(".") if "." in exact else exact


def _durations(values: pa.Array) -> pa.Array:
    places = UNITS[values.type.unit]
    return _each(pc.cast(values, pa.int64()), lambda n: f"PT{_seconds(n, places)}S")


def _intervals(values: pa.Array) -> pa.Array:
    if values.type != pa.month_day_nano_interval():
        return _cast(values)
    return _each(values, lambda v: f"P{v.months}M{v.days}DT{_seconds(v.nanoseconds, 9)}S")


def _documents(values: pa.Array) -> Texts:
    made = _json(values)
    found = [
        None if value == "null" or place in made.not_utf8 else value
        for place, value in enumerate(made.values)
    ]
    unread = {place: made.values[place] for place in sorted(made.not_utf8)}
    return Texts(pa.array(found, pa.string()), unread)


def _json(values: pa.Array) -> _Json:
    values = _stored(values)
    kind = values.type
    if _is_one(kind, "dictionary", "run_end_encoded"):
        places, inner = _encoded(values)
        held = _json(inner)
        unread = frozenset(n for n, place in enumerate(places) if place in held.not_utf8)
        return _Json(["null" if p is None else held.values[p] for p in places], unread)
    if pa.types.is_nested(kind):
        return _nested(values)
    if pa.types.is_floating(kind):
        wide = pc.cast(values, pa.float64()).to_pylist()
        return _Json([_number(value) for value in wide])
    found = text(values)
    bare = pa.types.is_boolean(kind) or pa.types.is_integer(kind)
    written = [
        "null" if value is None else value if bare else _quoted(value)
        for value in found.values.to_pylist()
    ]
    for place, value in found.not_utf8.items():
        written[place] = f'{{"base64":{_quoted(value)}}}'
    return _Json(written, frozenset(found.not_utf8))


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(value: float | None) -> str:
    if value is None:
        return "null"
    return repr(value) if math.isfinite(value) else f'"{value}"'


def _nested(values: pa.Array) -> _Json:
    kind = values.type
    if pa.types.is_union(kind):
        return _unions(values)
    made = _structures(values) if pa.types.is_struct(kind) else _lists(values)
    valid = values.is_valid().to_pylist()
    written = [v if there else "null" for v, there in zip(made.values, valid, strict=True)]
    return _Json(written, frozenset(place for place in made.not_utf8 if valid[place]))


def _structures(values: pa.Array) -> _Json:
    names = [_quoted(f.name) for f in values.type]
    parts = [_json(values.field(n)) for n in range(len(names))]
    rows = zip(*(part.values for part in parts), strict=True) if parts else [()] * len(values)
    if len(set(names)) == len(names):
        written = [
            "{" + ",".join(f"{n}:{v}" for n, v in zip(names, row, strict=True)) + "}"
            for row in rows
        ]
    else:
        written = [
            "[" + ",".join(f"[{n},{v}]" for n, v in zip(names, row, strict=True)) + "]"
            for row in rows
        ]
    return _Json(written, frozenset().union(*(part.not_utf8 for part in parts)))


def _lists(values: pa.Array) -> _Json:
    spans = _spans(values)
    first = min((start for start, end in spans if end > start), default=0)
    last = max((end for start, end in spans if end > start), default=0)
    is_map = pa.types.is_map(values.type)
    children = (values.keys, values.items) if is_map else (values.values,)
    parts = [_json(child.slice(first, last - first)) for child in children]
    written = list(parts[0].values)
    if is_map:
        pairs = zip(written, parts[1].values, strict=True)
        written = [f"[{key},{value}]" for key, value in pairs]
    unread = frozenset().union(*(part.not_utf8 for part in parts))
    return _Json(
        ["[" + ",".join(written[start - first : end - first]) + "]" for start, end in spans],
        frozenset(
            place
            for place, (start, end) in enumerate(spans if unread else ())
            if not unread.isdisjoint(range(start - first, end - first))
        ),
    )


def _spans(values: pa.Array) -> list[tuple[int, int]]:
    """Where in their child the items of each list are; nothing for a null."""
    kind, count = values.type, len(values)
    if pa.types.is_fixed_size_list(kind):
        size, begin = kind.list_size, values.offset
        found = [((begin + n) * size, (begin + n + 1) * size) for n in range(count)]
    elif pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        starts, sizes = values.offsets.to_pylist(), values.sizes.to_pylist()
        found = [(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    else:
        offsets = values.offsets.to_pylist()
        found = list(pairwise(offsets))
    valid = values.is_valid().to_pylist()
    return [span if there else (0, 0) for span, there in zip(found, valid, strict=True)]


def _unions(values: pa.Array) -> _Json:
    kind = values.type
    children = [_json(values.field(n)) for n in range(kind.num_fields)]
    codes = {code: n for n, code in enumerate(kind.type_codes)}
    which = [codes[code] for code in values.type_codes.to_pylist()]
    dense = kind.mode == "dense"
    places = values.offsets.to_pylist() if dense else range(len(values))
    chosen = [(children[n], place) for n, place in zip(which, places, strict=True)]
    return _Json(
        [child.values[place] for child, place in chosen],
        frozenset(n for n, (child, place) in enumerate(chosen) if place in child.not_utf8),
    )


_FORMS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (pa.types.is_timestamp, _instants),
    (pa.types.is_date32, _dates),
    (pa.types.is_date64, _dates64),
    (pa.types.is_time, _times),
    (pa.types.is_duration, _durations),
    (pa.types.is_interval, _intervals),
    (pa.types.is_floating, lambda values: pc.cast(pc.cast(values, pa.float64()), pa.string())),
    (pa.types.is_decimal, _decimals),
    (
        lambda kind: isinstance(kind, pa.UuidType),
        lambda values: _each(values.storage, _uuid),
    ),
    (
        lambda kind: _is_one(kind, "binary", "large_binary", "binary_view", "fixed_size_binary"),
        lambda values: _each(values, _base64),
    ),
)  # fmt: skip
