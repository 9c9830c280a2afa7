"""JSON lines: one object a line, flat or in a Debezium envelope; a message of a topic counts as a line.

Lines of a file end with a line feed. Blank lines are not records. A line that is not an object of the source
is kept as it is below `_rescued._malformed` and goes to silver's quarantine with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import InputError
from tasks.domain.schemas import MALFORMED
from tasks.domain.spec import Envelope, SourceSpec
from tasks.ingest.sources import debezium
from tasks.ingest.sources.json_text import compact, parse, text_of
from tasks.ingest.sources.reader import StagedFile
from tasks.landing.content import Content, empty, opened, undecodable

CHUNK_RECORDS = 50_000
LINE_LIMIT_CHARACTERS = 64 * 1024 * 1024


@dataclass(frozen=True)
class Line:
    """What is read as one record.

    Attributes:
        number: From 1.
        text: JSON; None for a message without a value.
        where: What people call it, where it is more than a line of its delivery.
        beside: Values of columns that are not in the text, or cannot be read from it; they go before what the
            text says.
        fault: Why the text cannot be read; empty where nothing is known against it.
        form: What the text of a fault is: base 64 of the bytes, or the line.
    """

    number: int
    text: str | None
    where: str = ""
    beside: Mapping[str, str | None] = field(default_factory=dict)
    fault: str = ""
    form: str = "base64"


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
        InputError: The file cannot be opened, is empty, is a JSON array, has bytes of another encoding or
            no line that has any of the columns, or changed while it was read; the message names file and
            record.
    """
    with opened(path, source.encoding, newline="\n") as content:
        taken = _Taken(source)
        taken.write(_refuse_array(path, _lines(content, source.encoding)), target)
        digest = content.confirm(expected_sha256)
    if not taken.rows and not taken.skipped:
        raise empty(path)
    if taken.rows and not taken.understood:
        raise InputError(
            f"{path.name}: no line is a JSON object with any of the columns "
            f"{', '.join(source.columns)}",
            advice="Check that the file is the one the pattern means, and its format and envelope.",
        )
    return taken.staged(target, digest)


def _refuse_array(path: Path, lines: Iterable[Line]) -> Iterator[Line]:
    """The lines of a file, unless they are those of one JSON array.

    Raises:
        InputError: The first line opens an array, or a line is an object with a comma or bracket beside it.
    """
    for line in lines:
        text = line.text or ""
        if _is_of_array(text, is_first=line.number == 1):
            raise InputError(
                f"{path.name}: record {line.number} is part of a JSON array, not a line of JSON lines",
                advice="Deliver one JSON object a line, without commas between them and brackets around "
                "them; `jq -c '.[]'` makes them of an array.",
            )
        yield line


def _is_of_array(text: str, *, is_first: bool) -> bool:
    opens, closes = text.startswith(("[", ",")), text.endswith(("]", ","))
    if not opens and not closes:
        return False
    try:
        if opens and closes:
            return is_first and any(isinstance(value, dict) for value in parse(text))
        return isinstance(parse(text.lstrip("[, \t").rstrip("], \t")), dict)
    except ValueError:
        return is_first and opens


def stage_lines(
    lines: Iterable[Line], source: SourceSpec, target: Path, *, sha256: str, of: str = ""
) -> StagedFile:
    """Write lines to Parquet as `stage_json_lines` does.

    Args:
        lines: What is read, in its order.
        source: Columns and envelope.
        target: Parquet file to write: the source's columns, `_record_number` and `_rescued`.
        sha256: Hash of what the lines came from.
        of: Where they came from, if lines among which no record has any of the columns are refused.

    Raises:
        InputError: No record has any of the columns.
    """
    taken = _Taken(source)
    taken.write(lines, target)
    if of and taken.rows > taken.malformed and not taken.understood:
        raise InputError(
            f"{of}: no record has any of the columns {', '.join(source.columns)}",
            advice="Name the keys of its records as the source's columns, or set `rest.unnest`.",
        )
    return taken.staged(target, sha256)


class _Taken:
    """What the lines of a delivery hold."""

    def __init__(self, source: SourceSpec) -> None:
        self._source = source
        self._unknown: dict[str, None] = {}
        self._named: set[str] = set()
        self.rows = self.malformed = self.skipped = self.understood = 0

    def write(self, lines: Iterable[Line], target: Path) -> None:
        with _Writer(target, self._source) as writer:
            for line in lines:
                record = self._record(line)
                if record is None:
                    self.skipped += 1
                    continue
                writer.write(record)
                self.rows += 1
                self.understood += record.understood

    def staged(self, target: Path, sha256: str) -> StagedFile:
        absent = tuple(c for c in self._source.columns if c not in self._named)
        return StagedFile(
            target, sha256, self.rows, self.malformed, unknown=tuple(self._unknown),
            skipped=self.skipped, absent=absent, sparse=True,
        )  # fmt: skip

    def _record(self, line: Line) -> Record | None:
        columns, beside = self._source.columns, line.beside
        self._named.update(beside)
        try:
            if line.fault:
                raise ValueError(line.fault)
            value = None if line.text is None else parse(line.text)
            found = self._flattened(value, beside)
        except ValueError as error:
            self.malformed += 1
            values = [beside.get(column) for column in columns]
            return Record(line.number, values, _kept(line, _reason(error)), understood=False)
        if found is None:
            return None
        extra = {n: v for n, v in found.items() if n not in columns or n in beside}
        self._unknown.update(dict.fromkeys(extra))
        self._named.update(found)
        return Record(
            line.number,
            [beside[c] if c in beside else text_of(found.get(c)) for c in columns],
            compact({name: text_of(value) for name, value in extra.items()}) if extra else None,
            understood=len(extra) < len(found),
        )

    def _flattened(self, value: Any, beside: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The value as a flat record; None for one that carries nothing. A ValueError says why it is none."""
        if self._source.envelope is Envelope.debezium:
            return debezium.flattened(value, [c for c in self._source.columns if c not in beside])
        if value is None and debezium.DELETED in beside:  # it tells of a message without a value
            return {}
        if not isinstance(value, dict):
            raise ValueError("it is not a JSON object")
        return value


def _kept(line: Line, reason: str) -> str:
    """A malformed line as it is, with what is wrong with it."""
    where = {"where": line.where} if line.where else {}
    content = {line.form if line.fault else "line": line.text}
    return compact({MALFORMED: {"says": reason, **where, **content}})


def _reason(error: ValueError) -> str:
    return f"it is not JSON: {error}" if isinstance(error, JSONDecodeError) else str(error)


def _lines(content: Content, encoding: str) -> Iterator[Line]:
    """The lines that are not blank, numbered from 1."""
    number = 0
    while True:
        try:
            line = content.text.readline(LINE_LIMIT_CHARACTERS)
        except UnicodeError as error:
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
            yield Line(number, line)


class _Writer:
    """Writes records in chunks as text columns."""

    def __init__(self, target: Path, source: SourceSpec) -> None:
        self._schema = pa.schema(
            [(c, pa.string()) for c in source.columns]
            + [("_record_number", pa.int64()), ("_rescued", pa.string())]
        )
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
