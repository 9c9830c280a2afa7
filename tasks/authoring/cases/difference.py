"""What a result and the rows expected differ in, in words; pure."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

RELATIVE = 1e-9
"""Doubles that differ by less than this share are equal: engines sum in different orders."""

Row = Mapping[str, Any]


def differences(
    expected: Iterable[Row], got: Iterable[Row], *, key: Sequence[str], compared: Sequence[str]
) -> list[str]:
    """Every difference in a line of its own; empty where the rows are equal.

    Args:
        expected: Rows with the columns in `compared`, the key among them.
        got: Rows with at least those columns.
        key: Columns that match a row with another.
        compared: Columns whose values have to be equal.
    """
    wanted, found = _by_key(expected, key), _by_key(got, key)
    lines = []
    for place in sorted(wanted.keys() | found.keys(), key=_order):
        here, there = wanted.get(place, []), found.get(place, [])
        named = ", ".join(f"{k}={said(v)}" for k, v in zip(key, place, strict=True))
        for side, rows in (("expected", here), ("got", there)):
            if len(rows) > 1:
                lines.append(f"not unique  {named}: {len(rows)} rows {side}")
        if not there:
            lines += [f"missing     {named}: {_rest(row, key, compared)}" for row in here]
        elif not here:
            lines += [f"unexpected  {named}: {_rest(row, key, compared)}" for row in there]
        elif len(here) == len(there) == 1:
            lines += [
                f"differs     {named}: {c} expected {said(here[0][c])}, got {said(there[0][c])}"
                for c in compared
                if not equal(here[0][c], there[0][c])
            ]
    return lines


def equal(one: object, other: object) -> bool:
    """Equal values; doubles within `RELATIVE`, and NaN is NaN."""
    if isinstance(one, float) and isinstance(other, float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or math.isclose(one, other, rel_tol=RELATIVE)
    return one == other


def said(value: object) -> str:
    """A value as a case writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}" + (f".{value:%f}" if value.microsecond else "")
    return repr(value) if isinstance(value, str) else str(value)


def _by_key(rows: Iterable[Row], key: Sequence[str]) -> dict[tuple[Hashable, ...], list[Row]]:
    found: dict[tuple[Hashable, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[k] for k in key), []).append(row)
    return found


def _order(place: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((value is not None, value) for value in place)


def _rest(row: Row, key: Sequence[str], compared: Sequence[str]) -> str:
    return ", ".join(f"{c}={said(row[c])}" for c in compared if c not in key)
