"""JSON lines: one object a line, flat or in a Debezium envelope.

Lines end with a line feed. Blank lines are no records. A line that is no object of the source is kept as
it is below `_rescued._malformed` and goes to silver's quarantine with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import InputError
from tasks.sources import debezium
from tasks.sources.content import Content, empty, opened, undecodable
from tasks.sources.json_text import compact, parse, text_of
from tasks.sources.reader import MALFORMED, StagedFile
from tasks.spec import Envelope, SourceSpec

CHUNK_RECORDS = 50_000
LINE_LIMIT_CHARACTERS = 64 * 1024 * 1024

Flatten = Callable[[Any, Sequence[str]], Mapping[str, Any] | None]
"""A line's value as a flat record; None for one that carries nothing. A ValueError says why it is none."""


@dataclass(frozen=True)
class Record:
    """One line as a bronze row; `understood` where any of the source's columns is in it."""

    number: int
    values: list[str | None]
    rescued: str | None
    understood: bool


def stage_json_lines(
    path: Path, source: SourceSpec, target: Path, *, expected_sha256: str
) -> StagedFile:
    """Read a file of JSON lines and write its records as text to Parquet.

    Strings stay as they are, numbers as they were written, booleans become `true` and `false`, null and
    missing keys null, nested values compact JSON. Keys that the source does not know are kept in
    `_rescued`.

    Args:
        path: The delivered file.
        source: Columns, encoding and envelope.
        target: Parquet file to write: the source's columns, `_record_number` (from 1) and `_rescued`.
        expected_sha256: Hash of the content that was found; another one means it changed meanwhile.

    Raises:
        InputError: The file cannot be opened, is empty, has bytes of another encoding or no line that
            has any of the columns, or changed while it was read; the message names file and record.
    """
    unknown: dict[str, None] = {}
    named: set[str] = set()
    rows = malformed = skipped = understood = 0
    with opened(path, source.encoding, newline="\n") as content, _Writer(target, source) as writer:
        for record in _records(content, source, unknown, named):
            if record is None:
                skipped += 1
                continue
            writer.write(record)
            rows += 1
            understood += record.understood
            malformed += record.rescued is not None and record.rescued.startswith(_MARK)
        digest = content.confirm(expected_sha256)
    if not rows and not skipped:
        raise empty(path)
    if rows and not understood:
        raise InputError(
            f"{path.name}: no line is a JSON object with any of the columns "
            f"{', '.join(source.columns)}",
            advice="Check that the file is the one the pattern means, and its format and envelope.",
        )
    absent = tuple(c for c in source.columns if c not in named)
    return StagedFile(
        target, digest, rows, malformed, unknown=tuple(unknown), skipped=skipped, absent=absent,
        sparse=True,
    )  # fmt: skip


_MARK = f'{{"{MALFORMED}":'


def _records(
    content: Content, source: SourceSpec, unknown: dict[str, None], named: set[str]
) -> Iterator[Record | None]:
    flatten = debezium.flattened if source.envelope is Envelope.debezium else _plain
    for number, line in _lines(content, source.encoding):
        try:
            found = flatten(parse(line), source.columns)
        except ValueError as error:
            kept = compact({MALFORMED: {"says": _reason(error), "line": line}})
            yield Record(number, [None] * len(source.columns), kept, understood=False)
            continue
        if found is None:
            yield None
            continue
        extra = {name: value for name, value in found.items() if name not in source.columns}
        unknown.update(dict.fromkeys(extra))
        named.update(found)
        yield Record(
            number,
            [text_of(found.get(column)) for column in source.columns],
            compact({name: text_of(value) for name, value in extra.items()}) if extra else None,
            understood=len(extra) < len(found),
        )


def _plain(value: Any, columns: Sequence[str]) -> Mapping[str, Any]:
    """The object itself."""
    del columns
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _reason(error: ValueError) -> str:
    return f"it is no JSON: {error}" if isinstance(error, JSONDecodeError) else str(error)


def _lines(content: Content, encoding: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, numbered from 1."""
    number = 0
    while True:
        try:
            line = content.text.readline(LINE_LIMIT_CHARACTERS)
        except UnicodeDecodeError as error:
            raise undecodable(content.path, number + 1, error, encoding) from None
        if not line:
            return
        if len(line) == LINE_LIMIT_CHARACTERS:
            raise InputError(
                f"{content.path.name}: record {number + 1} is longer than "
                f"{LINE_LIMIT_CHARACTERS:,} characters",
                advice="Deliver one JSON object a line, each line ended by a line feed.",
            )
        line = line.strip(" \t\r\n")
        if line:
            number += 1
            yield number, line


class _Writer:
    """Writes records in chunks as text columns."""

    def __init__(self, target: Path, source: SourceSpec) -> None:
        self._schema = pa.schema(
            [(c, pa.string()) for c in source.columns]
            + [("_record_number", pa.int64()), ("_rescued", pa.string())]
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(target, self._schema)
        self._chunk: list[Record] = []

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def write(self, record: Record) -> None:
        self._chunk.append(record)
        if len(self._chunk) == CHUNK_RECORDS:
            self._flush()

    def _flush(self) -> None:
        if not self._chunk:
            return
        columns = [list(values) for values in zip(*(r.values for r in self._chunk), strict=True)]
        arrays = [pa.array(values, pa.string()) for values in columns]
        arrays.append(pa.array([r.number for r in self._chunk], pa.int64()))
        arrays.append(pa.array([r.rescued for r in self._chunk], pa.string()))
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._chunk = []
