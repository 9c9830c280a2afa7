"""What a CSV file holds: its columns and what their values look like, read as a run would read them."""

from __future__ import annotations

import csv
import re
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import prod
from pathlib import Path

import duckdb

from storage.errors import ConfigurationError, InputError
from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.files.csv_files import stage_csv
from tasks.landing.content import empty, file_sha256, opened, undecodable
from tasks.rows.parsing import FORMS

DELIMITERS = (",", ";", "\t", "|")
IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
FEW = 12
"""Up to so many different values are a list that a check can name."""
KEY_COLUMNS = 12
"""Columns that combinations for a key are made of; the first ones, as files begin with their keys."""
KEY_PARTS = 3
SAMPLE_CHARACTERS = 1 << 20
_DATA = re.compile(r"[-+.,:/\d\s]+|\d{4}-\d\d-\d\dT[-+.:\dZ]*")
"""A first line with such a cell (a number, a date) holds values instead of names."""


@dataclass(frozen=True)
class Column:
    """A column of the file, and how many of its values have which form.

    Attributes:
        name: Its name in the tables: the header's own where that is an identifier.
        header: Its name in the file.
        values: The different values where there are few, in order; else empty.
        filled: Values that are not empty; the following counts are of those.
        distinct: Different values.
        whole: Whole numbers without leading zero and plus sign.
        padded: Digits with a leading zero or a plus sign, as codes have.
        decimal: Numbers, with or without digits after a point.
        scientific: Numbers that may have an exponent.
        digits: Most digits before the point.
        scale: Most digits after it.
        largest: Greatest absolute value of the whole numbers; None without such.
        negative: Numbers below zero.
        dates: Dates in the form that a run accepts; so are `timestamps` and `booleans`.
        other_dates: Dates such as 31.12.2026 or 12/31/2026.
        zoned: Instants with a time zone.
        commas: Numbers with a comma before the fraction.
    """

    name: str
    header: str
    values: tuple[str, ...] = ()
    filled: int = 0
    distinct: int = 0
    whole: int = 0
    padded: int = 0
    decimal: int = 0
    scientific: int = 0
    digits: int = 0
    scale: int = 0
    largest: int | None = None
    negative: int = 0
    dates: int = 0
    timestamps: int = 0
    booleans: int = 0
    other_dates: int = 0
    zoned: int = 0
    commas: int = 0


@dataclass(frozen=True)
class Profile:
    """A whole file.

    Attributes:
        rows: Records with as many fields as the header.
        malformed: The other ones.
        keys: Combinations of columns that identify a record; those of one column first, each in the
            order of the file. Only the given one where a key was given.
        repeated: Records whose given key an earlier record has.
    """

    path: Path
    delimiter: str
    encoding: str
    rows: int
    malformed: int
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...]
    repeated: int = 0

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(c for c in self.columns if c.name == name)


def read_profile(
    path: Path, *, encoding: str = "utf-8", delimiter: str | None = None, key: Sequence[str] = ()
) -> Profile:
    """Read the whole file.

    Raises:
        InputError: The file cannot be read, is empty, has no usable header, no records, a broken quote,
            or bytes of another encoding; the message names the file and the record.
        ConfigurationError: A column of the given key does not exist or is empty in a record.
    """
    sign = delimiter or _delimiter(path, encoding)
    headers = _header(path, encoding, sign)
    names = _names(path, headers)
    with tempfile.TemporaryDirectory(prefix="lakehouse-init-") as folder:
        renamed = {h: n for h, n in zip(headers, names, strict=True) if h != n}
        source = SourceSpec(columns=names, header=renamed, delimiter=sign, encoding=encoding)
        target = Path(folder) / "records.parquet"
        staged = stage_csv(path, source, target, expected_sha256=file_sha256(path))
        rows = staged.rows - staged.malformed
        if not rows:
            raise InputError(
                f"{path.name}: there is no record below the header",
                advice="Types and key are guessed from records: take a file that has some.",
            )
        records = _Records(target, dict(zip(names, headers, strict=True)))
        columns = tuple(records.column(name) for name in names)
        keys = [tuple(key)] if key else list(records.keys(columns, rows))
        repeated = rows - records.distinct(_given(key, columns, rows)) if key else 0
    return Profile(path, sign, encoding, rows, staged.malformed, columns, tuple(keys), repeated)


def _name(header: str, place: int) -> str:
    """A name for a header that is none: its place where no letter of it can be in a name."""
    plain = identifier(header)
    return plain if IDENTIFIER.fullmatch(plain) else f"column_{plain or place}"


def identifier(text: str) -> str:
    """The text as a name of lower-case letters, digits and underscores; empty where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def _delimiter(path: Path, encoding: str) -> str:
    """The delimiter that DuckDB finds in the first lines; a comma where it finds none."""
    with opened(path, encoding, newline="") as content, tempfile.NamedTemporaryFile("wb") as sample:
        try:
            text = content.text.read(SAMPLE_CHARACTERS)
            sample.write(text[: text.rfind("\n") + 1 or None].encode())
            sample.flush()
            query = "select Delimiter from sniff_csv(?)"
            [(found,)] = duckdb.execute(query, [sample.name]).fetchall()
        except (UnicodeDecodeError, duckdb.Error):  # the reader says what is wrong with the file
            return ","
    return found if found in DELIMITERS else ","


def _header(path: Path, encoding: str, delimiter: str) -> tuple[str, ...]:
    with opened(path, encoding, newline="") as content:
        try:
            first = next(csv.reader(content.text, delimiter=delimiter, strict=True), None)
        except UnicodeDecodeError as error:
            raise undecodable(path, 1, error, encoding) from None
        except csv.Error as error:
            raise InputError(
                f"{path.name}: the header: {error}", advice="Close the quote, or double it."
            ) from None
    if not first:
        raise empty(path)
    return tuple(name.strip() for name in first)


def _names(path: Path, headers: Sequence[str]) -> list[str]:
    values = [cell for cell in headers if _DATA.fullmatch(cell)]
    if values:
        raise InputError(
            f"{path.name}: the first line is not a header: {values[0]!r} cannot be the name of a column",
            advice="Write a first line with a name for each column.",
        )
    empty_ones = [str(place) for place, header in enumerate(headers, 1) if not header]
    if empty_ones:
        raise InputError(
            f"{path.name}: the header has no name for the fields {', '.join(empty_ones[:FEW])} of "
            f"{len(headers)}",
            advice="Name each column; where they hold nothing, write the file without them.",
        )
    names = [
        h if IDENTIFIER.fullmatch(h) else _name(h, place) for place, h in enumerate(headers, 1)
    ]
    lower = [name.lower() for name in names]
    doubled = [h for h, name in zip(headers, lower, strict=True) if lower.count(name) > 1]
    if doubled:
        raise InputError(
            f"{path.name}: the header names {', '.join(map(repr, doubled))}, which are one name for tables",
            advice="Give each column a name of its own; upper and lower case are the same.",
        )
    return names


def _given(key: Sequence[str], columns: Sequence[Column], rows: int) -> Sequence[str]:
    known = {column.name: column for column in columns}
    for name in key:
        if name not in known:
            raise ConfigurationError(
                f"--key: {name} is not a column", advice=f"Columns: {', '.join(known)}"
            )
        if known[name].filled < rows:
            raise ConfigurationError(
                f"--key: {name} is empty in {rows - known[name].filled:,} of {rows:,} records",
                advice="A record without its key is kept out; choose columns that are always given.",
            )
    return key


_V = "nullif(v, '')"
_WHOLE = r"-?(0|[1-9]\d*)"
_MEASURES = rf"""
    count(nullif(trim(v), '')), count(distinct {_V}),
    count_if(regexp_full_match(v, '{_WHOLE}')),
    count_if(regexp_full_match(v, '\+\d+|[+-]?0\d+')),
    count_if(regexp_full_match(v, '[+-]?(\d+\.?\d*|\.\d+)')),
    count_if(regexp_full_match(v, '{FORMS["double"]}') and isfinite(try_cast(v as double))),
    coalesce(max(length(regexp_extract(v, '^[+-]?(\d*)\.?\d*$', 1))), 0),
    coalesce(max(length(regexp_extract(v, '^[+-]?\d*\.(\d*)$', 1))), 0),
    max(abs(case when regexp_full_match(v, '-?\d{{1,30}}') then v::hugeint end)),
    count_if(starts_with(v, '-') and regexp_full_match(v, '{FORMS["double"]}')),
    count_if(regexp_full_match(v, '{FORMS["date"]}') and try_cast(v as date) is not null and v > '0001'),
    count_if(regexp_full_match(v, '{FORMS["timestamp"]}')
        and try_cast(replace(v, 'T', ' ') as timestamp) is not null and v > '0001'
        and substr(v, 12, 2) < '24'),
    count_if(lower(v) in ('true', 'false')),
    count_if(regexp_full_match(v, '\d{{1,2}}[./-]\d{{1,2}}[./-]\d{{4}}.*')),
    count_if(regexp_full_match(v, '\d{{4}}-\d\d-\d\d[ T]\d\d:\d\d.*(Z|[+-]\d\d:?\d\d)')),
    count_if(regexp_full_match(v, '-?\d{{1,3}}(\.?\d{{3}})*,\d+'))
"""


class _Records:
    """The good records of the file as text, in DuckDB."""

    def __init__(self, parquet: Path, headers: dict[str, str]) -> None:
        self._headers = headers
        self._db = duckdb.connect()
        good = "_rescued is null or _rescued not like '{\"_malformed\"%'"
        self._db.execute(
            f"create view records as select * from read_parquet('{parquet}') where {good}"
        )

    def column(self, name: str) -> Column:
        text = self._text(name)
        row = self._row(f"select {_MEASURES} from (select {text} as v from records)")
        found = Column(name, self._headers[name], (), *row)
        if not 0 < found.distinct <= FEW:
            return found
        few = f"select distinct {text} as v from records where {text} <> '' order by 1"
        return replace(found, values=tuple(v for (v,) in self._db.execute(few).fetchall()))

    def distinct(self, key: Sequence[str]) -> int:
        """How many different keys there are."""
        columns = ", ".join(self._text(name) for name in key)
        (found,) = self._row(f"select count(*) from (select distinct {columns} from records)")
        return int(found)

    def keys(self, columns: Sequence[Column], rows: int) -> Iterator[tuple[str, ...]]:
        """Single columns that identify a record; where there is none, the first combination that does."""
        given = [c for c in columns if c.filled == rows]
        single = [
            (c.name,) for c in given if c.distinct == rows and self.distinct([c.name]) == rows
        ]
        yield from single
        if single:
            return
        parts = [c for c in given if c.distinct > 1 or rows == 1][:KEY_COLUMNS]
        for size in range(2, KEY_PARTS + 1):
            for chosen in combinations(parts, size):
                names = tuple(c.name for c in chosen)
                if prod(c.distinct for c in chosen) >= rows and self.distinct(names) == rows:
                    yield names
                    return

    def _text(self, name: str) -> str:
        return f'"{name}"'

    def _row(self, query: str) -> tuple[int, ...]:
        row = self._db.execute(query).fetchone()
        assert row is not None  # noqa: S101 - an aggregate has a row
        return row
