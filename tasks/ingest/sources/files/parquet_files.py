"""Parquet deliveries: every value as the text that reads back to it, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.errors import InputError
from tasks.domain.schemas import UNREADABLE
from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.files.arrow_text import Texts, text
from tasks.ingest.sources.files.parquet_batches import batches, opened
from tasks.ingest.sources.reader import StagedFile
from tasks.landing.content import changed, file_sha256

CHUNK_RECORDS = 100_000
EXPONENT_FROM = 1e15
"""From here on the text of a floating-point number is not that of the same whole number."""
NAMES = {
    "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "float": "float",
    "bool": "boolean", "date32[day]": "date",
}  # fmt: skip
"""Arrow's names of types that Spark calls otherwise."""


def stage_parquet(
    path: Path, source: SourceSpec, target: Path, *, expected_sha256: str
) -> StagedFile:
    """Read a Parquet file and write its records as text to Parquet.

    `arrow_text` beside it has the text of each type. Columns that the source does not know are kept in
    `_rescued`, and below `UNREADABLE` there what is not text: strings that are not UTF-8.

    Args:
        path: The delivered file.
        source: Its columns.
        target: Parquet file to write: the source's columns, `_record_number` (from 1) and `_rescued`.
        expected_sha256: Hash of the content that was found; another one means it changed meanwhile.

    Raises:
        InputError: The file is not a Parquet file that can be read, names a column twice, has none of the
            source's columns, or changed while it was read.
    """
    try:
        with opened(path) as file:
            names = _names(path, source, file.schema_arrow)
            types = {f.name: _named(f.type) for f in file.schema_arrow}
            rows, plain = _write(
                path, file, source.columns, [n for n in names if n not in source.columns], target
            )
    except pa.ArrowNotImplementedError as error:
        raise InputError(
            f"{path.name}: a column has a type that cannot be read: {str(error).splitlines()[0]}",
            advice="Deliver the file with another type for that column, or without it.",
        ) from None
    except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
        raise InputError(
            f"{path.name}: cannot be read as Parquet: {str(error).splitlines()[0]}",
            advice="Deliver the file again, whole; write under another name and rename when complete.",
        ) from None
    if file_sha256(path) != expected_sha256:
        raise changed(path)
    missing = tuple(c for c in source.columns if c not in names)
    unknown = tuple(n for n in names if n not in source.columns)
    return StagedFile(
        target, expected_sha256, rows, missing=missing, unknown=unknown, types=types, plain=plain
    )


def _names(path: Path, source: SourceSpec, schema: pa.Schema) -> list[str]:
    names: list[str] = list(schema.names)
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise InputError(
            f"{path.name}: the file has the columns {', '.join(map(repr, doubled))} more than once",
            advice="Deliver the file with each column named once.",
        )
    if not set(names) & set(source.columns):
        raise InputError(
            f"{path.name}: the columns {names[:8]} are none of {', '.join(source.columns)}",
            advice="Check that the file is the one the pattern means.",
        )
    return names


def _named(kind: pa.DataType) -> str:
    """The type as Spark names it, for comparison with that of another delivery."""
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_dictionary(kind):
        return _named(kind.value_type)
    name = str(kind)
    return "string" if "string" in name else NAMES.get(name, name)


def _write(
    path: Path, file: pq.ParquetFile, columns: Sequence[str], unknown: Sequence[str], target: Path
) -> tuple[int, tuple[str, ...]]:
    """Write the records; their number, and the columns of numbers that are plain in each of them."""
    schema = pa.schema(
        [(c, pa.string()) for c in columns]
        + [("_record_number", pa.int64()), ("_rescued", pa.string())]
    )
    rows = 0
    plain = [f.name for f in file.schema_arrow if _is_number(f.type)]
    with pq.ParquetWriter(target, schema) as writer:
        for batch in batches(path, file, CHUNK_RECORDS):
            count = batch.num_rows
            texts = {name: text(batch.column(name)) for name in batch.schema.names}
            none = pa.nulls(count, pa.string())
            arrays = [texts[column].values if column in texts else none for column in columns]
            arrays.append(pa.array(range(rows + 1, rows + count + 1), pa.int64()))
            arrays.append(_rescued(texts, unknown, count))
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            plain = [name for name in plain if _is_plain(batch.column(name))]
            rows += count
    return rows, tuple(plain)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_plain(values: pa.Array) -> bool:
    """Whether none of the numbers is so large that floating-point ones are written with an exponent."""
    size = pc.abs(pc.cast(values, pa.float64(), safe=False))
    large = pc.and_(pc.is_finite(size), pc.greater_equal(size, EXPONENT_FROM))
    return not pc.any(large).as_py()


def _rescued(texts: Mapping[str, Texts], unknown: Sequence[str], count: int) -> pa.Array:
    """What has no column in a record: values of unknown columns, and those that no text holds."""
    unreadable: dict[int, dict[str, str]] = {}
    for name, found in texts.items():
        for place, value in found.not_utf8.items():
            unreadable.setdefault(place, {})[name] = value
    if not unknown and not unreadable:
        return pa.nulls(count, pa.string())
    values = [texts[name].values.to_pylist() for name in unknown]
    kept: list[dict[str, Any]] = [
        {name: held[place] for name, held in zip(unknown, values, strict=True)}
        | ({UNREADABLE: unreadable[place]} if place in unreadable else {})
        for place in range(count)
    ]
    return pa.array(
        [json.dumps(row, ensure_ascii=False) if row else None for row in kept], pa.string()
    )
