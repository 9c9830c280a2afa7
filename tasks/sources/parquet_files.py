"""Parquet deliveries: every value as the text that reads back to it, in bounded memory."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.errors import InputError
from tasks.sources.content import changed, file_sha256
from tasks.sources.reader import StagedFile
from tasks.spec import SourceSpec

CHUNK_RECORDS = 100_000
NAMES = {
    "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "float": "float",
    "bool": "boolean", "date32[day]": "date",
}  # fmt: skip
"""Arrow's names of types that Spark calls otherwise."""


def stage_parquet(
    path: Path, source: SourceSpec, target: Path, *, expected_sha256: str
) -> StagedFile:
    """Read a Parquet file and write its records as text to Parquet.

    Instants are in UTC, without zeros at the end of their fraction; floating-point numbers have the digits
    that read back to the same number; nested values are compact JSON, bytes base64. Columns that the source
    does not know are kept in `_rescued`.

    Args:
        path: The delivered file.
        source: Its columns.
        target: Parquet file to write: the source's columns, `_record_number` (from 1) and `_rescued`.
        expected_sha256: Hash of the content that was found; another one means it changed meanwhile.

    Raises:
        InputError: The file is no Parquet file that can be read, names a column twice, has none of the
            source's columns, or changed while it was read.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = _names(path, source, file.schema_arrow)
            types = {f.name: _named(f.type) for f in file.schema_arrow}
            target.parent.mkdir(parents=True, exist_ok=True)
            rows = _write(
                file, source.columns, [n for n in names if n not in source.columns], target
            )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise InputError(
            f"{path.name}: cannot be read as Parquet: {str(error).splitlines()[0]}",
            advice="Deliver the file again, whole; write under another name and rename when complete.",
        ) from None
    if file_sha256(path) != expected_sha256:
        raise changed(path)
    missing = tuple(c for c in source.columns if c not in names)
    unknown = tuple(n for n in names if n not in source.columns)
    return StagedFile(target, expected_sha256, rows, missing=missing, unknown=unknown, types=types)


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
    file: pq.ParquetFile, columns: Sequence[str], unknown: Sequence[str], target: Path
) -> int:
    schema = pa.schema(
        [(c, pa.string()) for c in columns]
        + [("_record_number", pa.int64()), ("_rescued", pa.string())]
    )
    rows = 0
    with pq.ParquetWriter(target, schema) as writer:
        for batch in file.iter_batches(CHUNK_RECORDS):
            count = batch.num_rows
            texts = {name: text(batch.column(name)) for name in batch.schema.names}
            none = pa.nulls(count, pa.string())
            arrays = [texts.get(column, none) for column in columns]
            arrays.append(pa.array(range(rows + 1, rows + count + 1), pa.int64()))
            arrays.append(pa.array(_rescued(texts, unknown), pa.string()) if unknown else none)
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            rows += count
    return rows


def _rescued(texts: dict[str, pa.Array], unknown: Sequence[str]) -> Iterator[str]:
    for values in zip(*(texts[name].to_pylist() for name in unknown), strict=True):
        yield json.dumps(dict(zip(unknown, values, strict=True)), ensure_ascii=False)


def text(values: pa.Array) -> pa.Array:
    """Values as text, nulls as nulls; each text reads back to its value."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return text(values.dictionary_decode())
    for holds, made in _TEXTS:
        if holds(kind):
            return made(values)
    return pc.cast(values, pa.string())


def _instants(values: pa.Array) -> pa.Array:
    plain = pc.cast(
        pc.cast(values, pa.int64()), pa.timestamp(values.type.unit)
    )  # zones are UTC inside
    whole = pc.replace_substring_regex(pc.cast(plain, pa.string()), r"\.0+$", "")
    return pc.replace_substring_regex(whole, r"(\.\d*[1-9])0+$", r"\1")


def _wide(values: pa.Array) -> pa.Array:
    return pc.cast(pc.cast(values, pa.float64()), pa.string())


def _each(function: Callable[[Any], str]) -> Callable[[pa.Array], pa.Array]:
    return lambda values: pa.array(
        [None if value is None else function(value) for value in values.to_pylist()], pa.string()
    )


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _is_binary(kind: pa.DataType) -> bool:
    names = ("is_binary", "is_large_binary", "is_fixed_size_binary", "is_binary_view")
    return any(getattr(pa.types, name)(kind) for name in names)


_TEXTS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (pa.types.is_timestamp, _instants),
    (lambda kind: pa.types.is_floating(kind) and kind.bit_width < 64, _wide),
    (pa.types.is_date64, lambda values: pc.cast(pc.cast(values, pa.date32()), pa.string())),
    (pa.types.is_nested, _each(_json)),
    (_is_binary, _each(_base64)),
)
