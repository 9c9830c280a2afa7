"""Schemas of tables: made from type strings, and compared; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

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


def _columns(schema: StructType) -> dict[str, str]:
    return {f.name: f.dataType.simpleString() for f in schema.fields}


def same_columns(found: StructType, wanted: StructType) -> bool:
    """Equal names, types and order; nullability and comments are left out."""
    return list(_columns(found).items()) == list(_columns(wanted).items())


def describe_difference(found: StructType, wanted: StructType) -> str:
    """The columns that differ, in words."""
    have, want = _columns(found), _columns(wanted)
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
"""Types that columns may have: those that both formats and every reader hold alike."""


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
