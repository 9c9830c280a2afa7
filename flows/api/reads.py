"""Rows of tables for programs: filters, projection and pages at one version, without SQL and without Spark.

What a request names is looked for among the table's own columns; values become typed Arrow scalars. No text
of a request reaches an engine.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import reduce
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.api.problems import Problem, Refusal
from flows.json_values import plain
from flows.reading import Reader
from storage.errors import ConfigurationError, UnsafeReadError, VersionNotFoundError
from storage.types import TableRef, Version
from tasks.domain.schemas import for_consumers
from tasks.domain.spec import DomainSpec

DEFAULT_ROWS = 100
CHUNK_ROWS = 65_536
"""Rows that are sorted at once at least."""
OPERATORS = ("eq", "ne", "lt", "le", "gt", "ge", "in", "null")
_COMPARED = {
    "eq": pc.Expression.__eq__, "ne": pc.Expression.__ne__, "lt": pc.Expression.__lt__,
    "le": pc.Expression.__le__, "gt": pc.Expression.__gt__, "ge": pc.Expression.__ge__,
}  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What a request asks of a table.

    Attributes:
        columns: Names of columns; all where empty.
        filters: `column:operator:value`, all of which hold.
        limit: Rows of a page.
        cursor: From the page before.
        version: The version to read; the newest where empty.
    """

    columns: Sequence[str] = ()
    filters: Sequence[str] = ()
    limit: int = DEFAULT_ROWS
    cursor: str = ""
    version: str = ""


def page(reader: Reader, label: str, wanted: Wanted) -> dict[str, Any]:
    """A page of a table's rows, ordered by its key.

    Returns:
        `table`, `version`, `rows` and `cursor`, which leads to the next page of the same version and is null
        at the end.

    Raises:
        Refusal: 404 for a table or version that is not there, 422 for a filter, column or cursor that does
            not fit, 501 for a table that only Spark reads.
    """
    ref = _table(reader, label)
    version, offset = _start(reader, ref, wanted)
    with _refusing(label, version):
        schema = reader.store.columns(ref, version)
        names = _projection(schema, wanted.columns)
        where = _condition(schema, wanted.filters)
        order = _order(reader.config.domain, ref, schema)
        read = list(dict.fromkeys([*names, *order]))
        scan = reader.store.scan_arrow(ref, version, columns=read, where=where)
    end = offset + wanted.limit
    first = _first(scan, order, end + 1)
    found = first.slice(offset, wanted.limit).select(names)
    return {
        "table": label,
        "version": str(version),
        "rows": [{k: plain(v) for k, v in row.items()} for row in found.to_pylist()],
        "cursor": _cursor(version, end, wanted) if first.num_rows > end else None,
    }


def newest(reader: Reader, label: str, instant: str, limit: int) -> list[dict[str, Any]]:
    """The rows of a table with the greatest instants, newest first.

    Raises:
        Refusal: 501 for a table that only Spark reads.
    """
    ref = _table(reader, label)
    version = reader.store.head(ref).version
    with _refusing(label, version):
        names = reader.store.columns(ref, version).names
        scan = reader.store.scan_arrow(ref, version, columns=names)
    rows = scan.read_all().sort_by([(instant, "descending")]).slice(0, limit)
    return [{name: plain(value) for name, value in row.items()} for row in rows.to_pylist()]


@contextmanager
def _refusing(label: str, version: Version) -> Iterator[None]:
    """What a table's reader refuses, as an answer."""
    try:
        yield
    except VersionNotFoundError:
        raise Refusal(
            404, f"{label} has no version {version}", advice="Leave `version` and `cursor` out."
        ) from None
    except UnsafeReadError as error:
        raise Refusal(501, str(error), advice="Read it with lakehouse sql.") from None


def _first(scan: pa.RecordBatchReader, order: Sequence[str], most: int) -> pa.Table:
    """The first rows in an order. Not many more are held at once, however many there are."""
    kept, batches, rows = scan.schema.empty_table(), list[pa.RecordBatch](), 0
    for batch in scan:
        batches.append(batch)
        rows += batch.num_rows
        if rows >= max(most, CHUNK_ROWS):
            kept, batches, rows = _sorted(kept, batches, order, most), [], 0
    return _sorted(kept, batches, order, most)


def _sorted(
    kept: pa.Table, batches: Sequence[pa.RecordBatch], order: Sequence[str], most: int
) -> pa.Table:
    rows = pa.concat_tables([kept, pa.Table.from_batches(batches, kept.schema)])
    if not order:
        return rows.slice(0, most)
    places = pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in order])
    return rows.take(places.slice(0, most))


def within(limit: int | None, most: int) -> int:
    """The limit, where the configuration allows as many rows; a hundred where none is given.

    Raises:
        Refusal: 422 where it does not.
    """
    if limit is None:
        return min(DEFAULT_ROWS, most)
    if limit > most:
        raise _invalid("limit", f"is more than {most}", str(limit))
    return limit


def _table(reader: Reader, label: str) -> TableRef:
    try:
        return reader.ref(label)
    except ConfigurationError as error:
        raise Refusal(404, error.message, advice=error.advice) from None


def _projection(schema: pa.Schema, columns: Sequence[str]) -> list[str]:
    strays = [c for c in columns if c not in schema.names]
    if strays:
        raise _invalid(
            "columns", f"is not a column; there are {', '.join(schema.names)}", strays[0]
        )
    return list(dict.fromkeys(columns)) or list(schema.names)


def _condition(schema: pa.Schema, filters: Sequence[str]) -> pc.Expression | None:
    parts = [_one(schema, text) for text in filters]
    return reduce(and_, parts) if parts else None


def _one(schema: pa.Schema, text: str) -> pc.Expression:
    column, _, rest = text.partition(":")
    operator, _, value = rest.partition(":")
    if column not in schema.names:
        raise _invalid("filter", f"is not a column; there are {', '.join(schema.names)}", column)
    if operator not in OPERATORS:
        raise _invalid("filter", f"is none of {', '.join(OPERATORS)}", operator)
    field = pc.field(column)
    if operator == "null":
        if value not in ("true", "false"):
            raise _invalid("filter", "is neither true nor false", value)
        return field.is_null() if value == "true" else ~field.is_null()
    kind = schema.field(column).type
    if operator == "in":
        return field.isin([_scalar(kind, column, one) for one in value.split(",")])
    compared: pc.Expression = _COMPARED[operator](field, _scalar(kind, column, value))
    return compared


def _scalar(kind: pa.DataType, column: str, value: str) -> pa.Scalar:
    try:
        if pa.types.is_timestamp(kind):
            instant = datetime.fromisoformat(value)
            return pa.scalar(instant.replace(tzinfo=instant.tzinfo or _zone(kind)), kind)
        return pa.scalar(value, pa.string()).cast(kind)
    except (ValueError, OverflowError, pa.ArrowException):
        raise _invalid(column, f"is not a value of type {kind}", value) from None


def _zone(kind: pa.DataType) -> tzinfo | None:
    return UTC if kind.tz else None


def _order(domain: DomainSpec, ref: TableRef, schema: pa.Schema) -> list[str]:
    """The key of a gold table, which identifies its rows.

    Elsewhere the key, where there is one, then whatever else can be sorted: equal keys have one order too.
    """
    key = [c for c in getattr(domain.find(ref), "key", []) if c in schema.names]
    if key and for_consumers(ref):
        return key
    rest = [f.name for f in schema if f.name not in key and not pa.types.is_nested(f.type)]
    return [*key, *rest]


def _start(reader: Reader, ref: TableRef, wanted: Wanted) -> tuple[Version, int]:
    """Version and number of rows to pass over."""
    if not wanted.cursor:
        named = Version(wanted.version) if wanted.version else None
        return named or reader.store.head(ref).version, 0
    try:
        found = json.loads(base64.urlsafe_b64decode(wanted.cursor.encode()))
        version, offset, asked = found["version"], found["offset"], found["asked"]
        fits = isinstance(version, str) and isinstance(offset, int) and offset >= 0
    except (ValueError, KeyError, TypeError, binascii.Error):
        fits = False
    if not fits:
        raise _invalid("cursor", "is not a cursor of this API", wanted.cursor)
    if asked != _asked(wanted):
        raise _invalid("cursor", "belongs to other filters or columns", wanted.cursor)
    return Version(version), offset


def _cursor(version: Version, offset: int, wanted: Wanted) -> str:
    found: Mapping[str, object] = {
        "version": str(version), "offset": offset, "asked": _asked(wanted),
    }  # fmt: skip
    return base64.urlsafe_b64encode(json.dumps(found).encode()).decode()


def _asked(wanted: Wanted) -> list[list[str]]:
    return [list(wanted.columns), list(wanted.filters)]


def _invalid(name: str, reason: str, value: str) -> Refusal:
    problem = Problem.of(name, reason, value)
    advice = "Correct it; GET /docs describes the parameters."
    return Refusal(422, f"{name} {value!r} {reason}", advice=advice, problems=[problem])
