"""Schemas of tables: made from type strings, and compared; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyarrow as pa
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from storage.errors import TerminalError


def named_types(schema: StructType | pa.Schema) -> dict[str, str]:
    """The type string of each column, by name, in order."""
    if isinstance(schema, pa.Schema):
        return {f.name: _name(f.type) for f in schema}
    return {f.name: f.dataType.simpleString() for f in schema.fields}


def same_columns(found: StructType | pa.Schema, wanted: StructType | pa.Schema) -> bool:
    """Equal names, types and order; nullability and comments are left out."""
    return list(named_types(found).items()) == list(named_types(wanted).items())


def describe_difference(found: StructType | pa.Schema, wanted: StructType | pa.Schema) -> str:
    """The columns that differ, in words."""
    have, want = named_types(found), named_types(wanted)
    parts = [f"{n} {t} is missing" for n, t in want.items() if n not in have]
    parts += [f"{n} {t} is not wanted" for n, t in have.items() if n not in want]
    parts += [
        f"{n} is {have[n]}, wanted {t}" for n, t in want.items() if n in have and have[n] != t
    ]
    return "; ".join(parts) or "the order of the columns differs"


_SIMPLE: dict[str, DataType] = {
    "string": StringType(),
    "boolean": BooleanType(),
    "int": IntegerType(),
    "bigint": LongType(),
    "double": DoubleType(),
    "date": DateType(),
    "timestamp": TimestampType(),
}
TYPES = (*_SIMPLE, "decimal(p,s)")
"""Types that columns may have: those that every format and every reader hold alike."""


def type_of(name: str) -> DataType:
    """The Spark type of a simple type string, without a Spark session.

    Raises:
        ValueError: It is none of `TYPES`.
    """
    decimal = re.fullmatch(r"decimal\((\d{1,2}),\s*(\d{1,2})\)", name)
    if decimal:
        return DecimalType(int(decimal[1]), int(decimal[2]))
    if name not in _SIMPLE:
        raise ValueError(f"type {name!r} is none of {', '.join(TYPES)}")
    return _SIMPLE[name]


def schema(columns: Iterable[tuple[str, str]]) -> StructType:
    """A schema of names and simple type strings."""
    return StructType([StructField(name, type_of(kind)) for name, kind in columns])


_ARROW: dict[type[DataType], pa.DataType] = {
    StringType: pa.string(),
    BooleanType: pa.bool_(),
    IntegerType: pa.int32(),
    LongType: pa.int64(),
    DoubleType: pa.float64(),
    DateType: pa.date32(),
    TimestampType: pa.timestamp("us", tz="UTC"),
}


def _name(kind: pa.DataType) -> str:
    """The type string of an Arrow type, as a configuration has it."""
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_large_string(kind):
        return "string"
    spark = next((spark for spark, arrow in _ARROW.items() if arrow == kind), None)
    return spark().simpleString() if spark else str(kind)


def arrow_schema(schema: StructType) -> pa.Schema:
    """The Arrow schema of a table; every column takes nulls.

    Raises:
        ValueError: A column's type is none of `TYPES`.
    """
    return pa.schema([(f.name, _arrow_type(f)) for f in schema.fields])


def _arrow_type(field: StructField) -> pa.DataType:
    kind = field.dataType
    if isinstance(kind, DecimalType):
        return pa.decimal128(kind.precision, kind.scale)
    found = _ARROW.get(type(kind))
    if found is None:
        raise ValueError(
            f"column {field.name}: type {kind.simpleString()!r} is none of {', '.join(TYPES)}"
        )
    return found


def storable(schema: pa.Schema) -> pa.Schema:
    """The schema itself, where both formats can hold its types alike.

    Raises:
        TerminalError: A column has no type, or a precision that one of the formats lacks.
    """
    for field in schema:
        if pa.types.is_null(field.type) or "[ns" in str(field.type):
            raise TerminalError(
                f"column {field.name} has the Arrow type {field.type}, which a table cannot hold",
                advice="Give it a type; instants have microseconds.",
            )
    return schema


def fit(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with a table's columns in their order and types.

    Raises:
        TerminalError: The names differ.
        pyarrow.ArrowInvalid: A value does not fit its column's type.
    """
    if sorted(rows.column_names) != sorted(schema.names):
        raise TerminalError(
            f"the table has the columns {schema.names}, the rows {rows.column_names}"
        )
    return rows.select(schema.names).cast(schema)
