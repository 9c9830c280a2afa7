"""Equality of tables as the specification means it: exact, doubles within 1e-9 relative."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

RELATIVE_TOLERANCE = 1e-9
_SHOWN = 5


def assert_equal(actual: pa.Table, expected: pa.Table, keys: Sequence[str], *, name: str) -> None:
    """Assert that ``actual`` holds the rows of ``expected``, in any order.

    Keys, counts, dates, text and decimals must be the same, doubles within 1e-9 relative. Columns
    that only ``actual`` has are ignored; integers may differ in width; a timestamp without a zone
    is one in UTC. A null key equals a null key.

    Args:
        actual: The table under test.
        expected: The table it is compared with; all its columns are compared.
        keys: The columns that identify a row, at least one.
        name: What to call the table in the failure message.

    Raises:
        AssertionError: They differ; the message has the missing and extra keys and the first
            differing cells.
        ValueError: ``keys`` is empty or not among the columns of ``expected``.
    """
    columns = expected.column_names
    if not keys or not set(keys) <= set(columns):
        raise ValueError(f"{name}: the keys {list(keys)} are not columns of {columns}")
    if absent := [column for column in columns if column not in actual.column_names]:
        raise AssertionError(f"{name}: the columns {absent} are missing")
    left = _normal(actual.select(columns), name)
    right = _normal(expected, name)
    if wrong := _type_differences(left.schema, right.schema):
        raise AssertionError(f"{name}: the types differ: {'; '.join(wrong)}")
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.register("actual", left)
        connection.register("expected", right)
        if problems := _differences(connection, left.schema, keys):
            counts = f"{actual.num_rows} rows for {expected.num_rows} expected"
            raise AssertionError("\n  ".join([f"{name}: {counts}", *problems]))


def _normal(table: pa.Table, name: str) -> pa.Table:
    """Cast each column to the one Arrow type that stands for its class of types."""
    fields = [pa.field(field.name, _normal_type(field.type)) for field in table.schema]
    try:
        return table.cast(pa.schema(fields))
    except pa.ArrowInvalid as error:
        raise AssertionError(f"{name}: a value does not fit its type's range: {error}") from error


def _normal_type(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(type_):
        return _normal_type(type_.value_type)
    if pa.types.is_integer(type_):
        return pa.int64()
    if pa.types.is_floating(type_):
        return pa.float64()
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us")  # the instant in UTC, with or without a zone
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or type_ == pa.string_view():
        return pa.string()
    return type_


def _type_differences(actual: pa.Schema, expected: pa.Schema) -> list[str]:
    return [
        f"{field.name} is {actual.field(field.name).type}, expected {field.type}"
        for field in expected
        if actual.field(field.name).type != field.type
    ]


def _differences(
    connection: duckdb.DuckDBPyConnection, schema: pa.Schema, keys: Sequence[str]
) -> list[str]:
    """Say what differs: nothing in the list means equal."""
    key_list = ", ".join(_quoted(key) for key in keys)
    # Doubled keys would multiply in the joins below, so they are reported alone.
    doubled = [
        message
        for side in ("actual", "expected")
        if (
            message := _sampled(
                connection,
                f"keys more than once in {side}",
                f"SELECT {key_list} FROM {side} GROUP BY ALL HAVING count(*) > 1",
                key_list,
            )
        )
    ]
    if doubled:
        return doubled
    same_key = " AND ".join(
        f"a.{_quoted(key)} IS NOT DISTINCT FROM e.{_quoted(key)}" for key in keys
    )
    problems = [
        _sampled(
            connection,
            what,
            f"SELECT {key_list} FROM {one} AS a ANTI JOIN {other} AS e ON {same_key}",
            key_list,
        )
        for what, one, other in (
            ("missing keys", "expected", "actual"),
            ("extra keys", "actual", "expected"),
        )
    ]
    for field in schema:
        if field.name not in keys:
            a, e = f"a.{_quoted(field.name)}", f"e.{_quoted(field.name)}"
            shown = ", ".join(f"a.{_quoted(key)}" for key in keys)
            problems.append(
                _sampled(
                    connection,
                    f"{field.name} differs (key | actual | expected)",
                    f"SELECT {shown}, {a} AS a_value, {e} AS e_value FROM actual AS a "
                    f"JOIN expected AS e ON {same_key} WHERE NOT {_equal(field, a, e)}",
                    key_list,
                )
            )
    return [problem for problem in problems if problem]


def _equal(field: pa.Field, a: str, e: str) -> str:
    same = f"({a} IS NOT DISTINCT FROM {e})"
    if not pa.types.is_floating(field.type):
        return same
    near = (
        f"(isfinite({a}) AND isfinite({e}) AND "
        f"abs({a} - {e}) <= {RELATIVE_TOLERANCE} * greatest(abs({a}), abs({e})))"
    )
    return f"({same} OR coalesce({near}, false))"


def _sampled(connection: duckdb.DuckDBPyConnection, what: str, query: str, order: str) -> str:
    """Count the rows of a query and show the first of them; empty text when there are none."""
    total = connection.sql(f"SELECT count(*) FROM ({query})").fetchall()[0][0]
    if not total:
        return ""
    rows = connection.sql(f"FROM ({query}) ORDER BY {order} LIMIT {_SHOWN}").fetchall()
    shown = "; ".join(" | ".join("null" if v is None else str(v) for v in row) for row in rows)
    return f"{what}: {total}, first {shown}"


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
