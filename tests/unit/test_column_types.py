from __future__ import annotations

import re
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from pyspark.sql.types import StructType

from storage.errors import TerminalError
from storage.schemas import (
    TYPES,
    describe_difference,
    fit,
    same_columns,
    schema,
    storable,
    type_of,
)

WANTED = schema([("id", "string"), ("n", "int"), ("price", "decimal(18,2)")])


@pytest.mark.parametrize("name", [*TYPES[:-1], "decimal(18,2)", "decimal(38,0)"])
def test_a_type_is_known_by_its_name(name: str) -> None:
    assert type_of(name).simpleString() == name


def test_a_decimal_may_hold_a_space() -> None:
    assert type_of("decimal(18, 2)") == type_of("decimal(18,2)")


@pytest.mark.parametrize(
    "name",
    ["varchar", "integer", "smallint", "float", "timestamp_ntz", "array<int>", "decimal",
     "decimal(18)", "decimal(180,2)", "Int", " int", ""],
)  # fmt: skip
def test_another_type_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"type {name!r} is none of string, ")):
        type_of(name)


def test_nullability_is_no_difference() -> None:
    strict = StructType.fromJson(WANTED.jsonValue())
    strict["id"].nullable = False
    assert same_columns(strict, WANTED)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([("id", "string"), ("n", "int")], "price decimal(18,2) is missing"),
        (
            [("id", "string"), ("n", "int"), ("price", "decimal(18,2)"), ("x", "date")],
            "x date is not wanted",
        ),
        (
            [("id", "string"), ("n", "bigint"), ("price", "decimal(18,2)")],
            "n is bigint, wanted int",
        ),
        (
            [("n", "int"), ("id", "string"), ("price", "decimal(18,2)")],
            "the order of the columns differs",
        ),
        (
            [("id", "string"), ("m", "int"), ("price", "double")],
            "n int is missing; m int is not wanted; price is double, wanted decimal(18,2)",
        ),
    ],
    ids=["missing", "more", "type", "order", "all"],
)
def test_a_difference_is_told_in_words(found: list[tuple[str, str]], words: str) -> None:
    assert not same_columns(schema(found), WANTED)
    assert describe_difference(schema(found), WANTED) == words


@pytest.mark.parametrize("kind", [pa.null(), pa.timestamp("ns"), pa.timestamp("ns", tz="UTC")])
def test_what_a_table_cannot_hold_is_refused_by_column(kind: pa.DataType) -> None:
    with pytest.raises(TerminalError, match="column x has the Arrow type"):
        storable(pa.schema([("id", pa.string()), ("x", kind)]))


def test_rows_are_fitted_to_the_table_by_name() -> None:
    table = pa.schema([("id", pa.large_string()), ("at", pa.timestamp("us", tz="UTC"))])
    instant = datetime(2018, 1, 1, tzinfo=UTC)
    rows = pa.table({"at": pa.array([instant], pa.timestamp("s", tz="UTC")), "id": ["a"]})
    fitted = fit(rows, table)
    assert fitted.schema == table
    assert fitted.to_pylist() == [{"id": "a", "at": instant}]


def test_rows_with_other_columns_or_values_are_refused() -> None:
    table = pa.schema([("id", pa.int32())])
    with pytest.raises(TerminalError, match=r"columns \['id'\], the rows \['id', 'x'\]"):
        fit(pa.table({"id": [1], "x": [1]}), table)
    with pytest.raises(pa.ArrowInvalid):
        fit(pa.table({"id": [2**40]}), table)
