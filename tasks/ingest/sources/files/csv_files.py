"""CSV deliveries, read record by record.

Spark's CSV reader turns short records into nulls, cuts long ones, lets an unclosed quote eat the rest of
the file and replaces bytes of another encoding, all without an error. Here each record keeps its number,
and what cannot be a record of the file's own header is kept and marked, or refuses the file.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from storage.errors import InputError
from tasks.domain.schemas import MALFORMED
from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.reader import StagedFile
from tasks.landing.content import empty, opened, undecodable

CHUNK_RECORDS = 100_000
FIELD_LIMIT_BYTES = 64 * 1024 * 1024
SHOWN = 8
"""Names in a message."""
EXCEL_SEPARATOR = re.compile(r'"?sep=.?"?', re.IGNORECASE)
"""A line before the header, by which Excel knows the delimiter."""


def stage_csv(path: Path, source: SourceSpec, target: Path, *, expected_sha256: str) -> StagedFile:
    """Read a CSV file and write its records as text to Parquet.

    Args:
        path: The delivered file.
        source: Columns, delimiter and encoding.
        target: Parquet file to write: the source's columns, `_record_number` (from 1, header not
            counted) and `_rescued`.
        expected_sha256: Hash of the content that was found; another one means it changed meanwhile.

    Raises:
        InputError: The file cannot be opened, is empty, has no usable header, a broken quote, bytes of
            another encoding, or changed while it was read; the message names the file and the record.
    """
    csv.field_size_limit(FIELD_LIMIT_BYTES)
    with opened(path, source.encoding, newline="") as content:
        records = _Records(path, source, content.text)
        writer = _Writer(target, source.columns, records.header)
        with writer:
            for chunk in records.chunks():
                writer.write(chunk)
        digest = content.confirm(expected_sha256)
    return StagedFile(target, digest, writer.rows, writer.malformed, writer.missing, writer.unknown)


class _Records:
    """The records of one file, with errors that name the record."""

    def __init__(self, path: Path, source: SourceSpec, text: io.TextIOWrapper) -> None:
        self._path = path
        self._source = source
        self._number = 0
        self._reader = csv.reader(text, delimiter=source.delimiter, strict=True)
        header = next(self._guarded(), None)
        if header is None:
            raise empty(path)
        self.header = _header(path, source, header)

    def chunks(self) -> Iterator[list[tuple[int, list[str]]]]:
        chunk: list[tuple[int, list[str]]] = []
        for record in self._guarded():
            if not record:
                continue
            self._number += 1
            chunk.append((self._number, record))
            if len(chunk) == CHUNK_RECORDS:
                yield chunk
                chunk = []
        yield chunk

    def _guarded(self) -> Iterator[list[str]]:
        while True:
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise InputError(
                    f"{self._path.name}: record {self._number + 1} (ends in line "
                    f"{self._reader.line_num}): {error}",
                    advice="A quote is not closed or not doubled: deliver the file again, fixed.",
                ) from None
            except UnicodeError as error:
                raise undecodable(
                    self._path, self._number + 1, error, self._source.encoding
                ) from None
            yield record


def _header(path: Path, source: SourceSpec, fields: list[str]) -> list[str]:
    """The names of the columns, as the source calls them.

    Raises:
        InputError: They are not the header of the source.
    """
    written = source.delimiter.join(fields)
    if EXCEL_SEPARATOR.fullmatch(written):
        raise InputError(
            f"{path.name}: its first line is Excel's {written!r}, not the header",
            advice="Deliver the file without that line; the source's `delimiter` says the same.",
        )
    other_names = {name.strip(): column for name, column in source.header.items()}
    header = [other_names.get(name.strip(), name.strip()) for name in fields]
    doubled = {name for name in header if header.count(name) > 1}
    if "" in doubled:
        places = [str(n) for n, name in enumerate(header, 1) if not name]
        raise InputError(
            f"{path.name}: the header has no name for the fields {', '.join(places[:SHOWN])} of "
            f"{len(header)}",
            advice="Name each column once; where they are empty, deliver the file without the "
            f"{source.delimiter!r} at the end of its lines.",
        )
    if doubled:
        raise InputError(
            f"{path.name}: the header names {', '.join(map(repr, sorted(doubled)))} more than once",
            advice="Deliver the file with each column named once.",
        )
    if not set(header) & set(source.columns):
        has_nul = any("\0" in name for name in header)
        raise InputError(
            f"{path.name}: the header {header[:SHOWN]} has none of the columns "
            f"{', '.join(source.columns)}",
            advice="It has NUL characters: if the file is UTF-16, set the source's `encoding: utf-16-le`."
            if has_nul
            else "Check that the file is the one the pattern means, and its delimiter.",
        )
    return header


class _Writer:
    """Writes chunks of records as text columns."""

    def __init__(self, target: Path, columns: Sequence[str], header: Sequence[str]) -> None:
        self._columns = list(columns)
        self._header = list(header)
        self._schema = pa.schema(
            [(c, pa.string()) for c in columns]
            + [("_record_number", pa.int64()), ("_rescued", pa.string())]
        )
        self._writer = pq.ParquetWriter(target, self._schema)
        self.missing = tuple(c for c in columns if c not in header)
        self.unknown = tuple(c for c in header if c not in columns)
        self.rows = 0
        self.malformed = 0

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None:
        self._writer.close()

    def write(self, chunk: list[tuple[int, list[str]]]) -> None:
        width = len(self._header)
        good = [record for record in chunk if len(record[1]) == width]
        self._write_good(good)
        if len(good) < len(chunk):
            self._write_malformed([record for record in chunk if len(record[1]) != width])
        self.rows += len(chunk)

    def _write_good(self, records: list[tuple[int, list[str]]]) -> None:
        if not records:
            return
        by_name = dict(zip(self._header, zip(*(r for _, r in records), strict=True), strict=True))
        rescued: list[str | None] = [None] * len(records)
        if self.unknown:
            extra = [by_name[name] for name in self.unknown]
            rescued = [
                json.dumps(dict(zip(self.unknown, values, strict=True)), ensure_ascii=False)
                for values in zip(*extra, strict=True)
            ]
        none = pa.nulls(len(records), pa.string())
        arrays = [
            pa.array(by_name[c], pa.string()) if c in by_name else none for c in self._columns
        ]
        arrays += [pa.array([n for n, _ in records], pa.int64()), pa.array(rescued, pa.string())]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))

    def _write_malformed(self, records: list[tuple[int, list[str]]]) -> None:
        self.malformed += len(records)
        columns: dict[str, list[object]] = {name: [] for name in self._schema.names}
        for number, fields in records:
            values = dict(zip(self._header, fields, strict=False))
            for name in self._columns:
                columns[name].append(values.get(name))
            columns["_record_number"].append(number)
            kept = {
                MALFORMED: {"expected": len(self._header), "found": len(fields), "fields": fields}
            }
            columns["_rescued"].append(json.dumps(kept, ensure_ascii=False))
        self._writer.write_table(pa.table(columns, schema=self._schema))
