"""Compact columns of a generated table, turned into text a slice of rows at a time.

A column keeps numbers, never text, for as long as possible: a million coordinates are 16 MB as
floats and several hundred as strings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]

ABSENT = int(np.iinfo(np.int64).min)  # the bits of NaT, so that instants need no mask
_ID_BYTES = 16


class Column(Protocol):
    """The values of one column, addressed by row."""

    def text(self, rows: IntArray) -> list[str]:
        """Return the CSV text of `rows` (before quoting); an absent value is the empty text."""
        ...


@dataclass(frozen=True)
class Identifiers:
    """Hexadecimal identifiers of 32 characters: `raw` (m, 16) bytes, `index` (n,) rows of it."""

    raw: ByteArray
    index: IntArray

    def text(self, rows: IntArray) -> list[str]:
        """Return the identifiers of `rows`."""
        joined = self.raw[self.index[rows]].tobytes().hex()
        width = 2 * _ID_BYTES
        return [joined[at : at + width] for at in range(0, len(joined), width)]


@dataclass(frozen=True)
class Coded:
    """Words by number: `codes` (n,) into `words`; -1 is absent."""

    codes: IntArray
    words: Sequence[str]

    def text(self, rows: IntArray) -> list[str]:
        """Return the words of `rows`."""
        words = np.array([*self.words, ""], dtype=object)
        return [str(word) for word in words[self.codes[rows]]]


@dataclass(frozen=True)
class Integers:
    """Whole numbers (n,); `ABSENT` is absent."""

    values: IntArray

    def text(self, rows: IntArray) -> list[str]:
        """Return the numbers of `rows`."""
        return ["" if value == ABSENT else str(value) for value in self.values[rows].tolist()]


@dataclass(frozen=True)
class Cents:
    """Amounts of money (n,) in cents, written in units with at least one decimal (`99.9`)."""

    values: IntArray

    def text(self, rows: IntArray) -> list[str]:
        """Return the amounts of `rows`."""
        return [repr(cents / 100) for cents in self.values[rows].tolist()]


@dataclass(frozen=True)
class Reals:
    """Floating-point numbers (n,), written with the digits that read back to the same number."""

    values: FloatArray

    def text(self, rows: IntArray) -> list[str]:
        """Return the numbers of `rows`."""
        return [repr(value) for value in self.values[rows].tolist()]


@dataclass(frozen=True)
class Instants:
    """Instants (n,) in seconds since 1970-01-01 UTC; `ABSENT` is absent."""

    values: IntArray

    def text(self, rows: IntArray) -> list[str]:
        """Return the instants of `rows` as `YYYY-MM-DD hh:mm:ss`."""
        iso = np.datetime_as_string(self.values[rows].astype("datetime64[s]"))
        return ["" if text == "NaT" else text.replace("T", " ") for text in iso.tolist()]


@dataclass(frozen=True)
class Texts:
    """Free text (n,); the empty text is absent."""

    values: Sequence[str]

    def text(self, rows: IntArray) -> list[str]:
        """Return the texts of `rows`."""
        return [self.values[row] for row in rows.tolist()]


@dataclass(frozen=True)
class Table:
    """A generated table: its name, its file's name, its key, and its columns in file order."""

    name: str
    file: str
    key: tuple[str, ...]
    rows: int
    columns: Mapping[str, Column]

    def records(self, rows: IntArray) -> dict[str, list[str]]:
        """Return the text of every column for `rows`."""
        return {name: column.text(rows) for name, column in self.columns.items()}

    def coded(self, name: str) -> Coded:
        """Return a column of words.

        Raises:
            TypeError: The column is of another kind.
        """
        column = self.columns[name]
        if not isinstance(column, Coded):
            raise TypeError(f"{self.name}.{name} is {type(column).__name__}, not Coded")
        return column

    def identified(self, name: str) -> Identifiers:
        """Return a column of identifiers.

        Raises:
            TypeError: The column is of another kind.
        """
        column = self.columns[name]
        if not isinstance(column, Identifiers):
            raise TypeError(f"{self.name}.{name} is {type(column).__name__}, not Identifiers")
        return column


def identifiers(rng: np.random.Generator, count: int) -> ByteArray:
    """Draw `count` identifiers of 128 bits, as (count, 16) bytes."""
    return np.frombuffer(rng.bytes(count * _ID_BYTES), dtype=np.uint8).reshape(count, _ID_BYTES)
