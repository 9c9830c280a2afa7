"""Rows of the engine beside those of the model: which keys are wrong, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.property.model import Key, Row

SHOWN = 5


def wrong_keys(
    actual: Sequence[Row], expected: Sequence[Row], key: Sequence[str]
) -> dict[Key, str]:
    """The keys whose rows differ, each with what is wrong; empty where the tables are equal.

    Args:
        actual: Rows under test; columns that only they have are passed over.
        expected: Rows of the model, one a key.
        key: Columns that identify a row.
    """
    wanted = {_key(row, key): row for row in expected}
    assert len(wanted) == len(expected), "the model has a key more than once"
    times = Counter(_key(row, key) for row in actual)
    wrong = {k: f"there {n} times" for k, n in times.items() if n > 1}
    for row in actual:
        k = _key(row, key)
        if k not in wanted:
            wrong.setdefault(k, "not expected")
        elif text := _difference(row, wanted[k]):
            wrong.setdefault(k, text)
    return wrong | {k: "missing" for k in wanted if k not in times}


def assert_same(
    actual: Sequence[Row], expected: Sequence[Row], key: Sequence[str], *, name: str
) -> None:
    """Assert that no key is wrong.

    Raises:
        AssertionError: With the number of wrong keys and the first of them.
    """
    report(wrong_keys(actual, expected, key), f"{name}: wrong keys")


def report(found: dict[Key, str], title: str) -> None:
    """Fail with the first of what was found, where anything was.

    Raises:
        AssertionError: Something was found.
    """
    first = sorted(found.items(), key=repr)[:SHOWN]
    lines = [f"{' '.join(map(str, key))}: {text}" for key, text in first]
    assert not found, "\n  ".join([f"{title}: {len(found)}", *lines])


def plain(value: Any) -> Any:
    """A value as the model has it: instants without a zone, in UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).replace(tzinfo=None)
    return value


def _key(row: Row, key: Sequence[str]) -> Key:
    return tuple(plain(row[column]) for column in key)


def _difference(actual: Row, expected: Row) -> str:
    return ", ".join(
        f"{column} is {plain(actual.get(column))!r}, expected {value!r}"
        if column in actual
        else f"no column {column}"
        for column, value in expected.items()
        if column not in actual or plain(actual[column]) != value
    )
