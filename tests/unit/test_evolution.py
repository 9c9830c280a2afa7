"""The comparison of two schemas: what can be changed in place, and what stands against it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from storage.errors import IncompatibleSchemaError
from storage.evolution import (
    FIRST,
    AddColumn,
    AllowNulls,
    Change,
    WidenColumn,
    carried,
    compare,
    evolved,
    remaining,
    widens,
)
from storage.schemas import arrow_schema, named_types, same_columns, schema
from storage.types import CommitRecord, SourceFile

COLUMNS = [("id", "int"), ("price", "decimal(10,2)"), ("name", "string")]


def arrow(*columns: tuple[str, str]) -> pa.Schema:
    return arrow_schema(schema(columns))


FOUND = arrow(*COLUMNS)


def test_equal_columns_need_nothing() -> None:
    found = compare(FOUND, schema(COLUMNS))
    assert (found.changes, found.breaking) == ((), ())


def test_changes_lead_to_the_wanted_columns_in_their_order() -> None:
    wanted = arrow(
        ("key", "string"), ("id", "bigint"), ("price", "decimal(18,2)"), ("vat", "double"),
        ("day", "date"), ("name", "string"), ("end", "timestamp"),
    )  # fmt: skip
    found = compare(FOUND, wanted)
    assert found.breaking == ()
    assert found.changes == (
        AddColumn("key", "string", FIRST),
        AddColumn("vat", "double", "price"),
        AddColumn("day", "date", "vat"),
        AddColumn("end", "timestamp", "name"),
        WidenColumn("id", "bigint"),
        WidenColumn("price", "decimal(18,2)"),
    )
    assert same_columns(evolved(FOUND, found.changes), wanted)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (COLUMNS[:2], "name string is not wanted any more"),
        ([*COLUMNS[:2], ("title", "string")],
         "name string is not wanted any more (was it renamed to title?)"),
        ([("id", "string"), *COLUMNS[1:]], "id is int, wanted string, which is another type"),
        ([("id", "double"), *COLUMNS[1:]], "id is int, wanted double, which is another type"),
        ([COLUMNS[0], ("price", "decimal(8,2)"), COLUMNS[2]],
         "price is decimal(10,2), wanted decimal(8,2), which is narrower"),
        ([COLUMNS[0], ("price", "decimal(18,4)"), COLUMNS[2]],
         "price is decimal(10,2), wanted decimal(18,4), which is another type"),
        (COLUMNS[::-1], "the order of the columns is id, price, name, wanted name, price, id"),
    ],
    ids=["dropped", "renamed", "type", "inexact", "narrower", "scale", "order"],
)  # fmt: skip
def test_what_breaks_is_told(columns: list[tuple[str, str]], told: str) -> None:
    assert compare(FOUND, schema(columns)).breaking == (told,)


def test_nulls_are_allowed_where_the_table_refused_them() -> None:
    strict = pa.schema([f.with_nullable(f.name != "id") for f in FOUND])
    assert compare(strict, FOUND).changes == (AllowNulls("id"),)
    assert evolved(strict, [AllowNulls("id")]) == FOUND
    # The other way is passed over: no format enforces it for us.
    assert compare(FOUND, strict).changes == ()


@pytest.mark.parametrize(
    ("old", "new", "exact"),
    [
        ("int", "bigint", True),
        ("decimal(10,2)", "decimal(11,2)", True),
        ("bigint", "int", False),
        ("bigint", "double", False),
        ("decimal(10,2)", "decimal(10,2)", False),
        ("decimal(10,2)", "decimal(12,3)", False),
        ("decimal(10,2)", "decimal(9,2)", False),
        ("date", "timestamp", False),
    ],
)
def test_a_wider_type_holds_each_value_exactly(old: str, new: str, exact: bool) -> None:
    assert widens(old, new) is exact


def test_what_is_there_already_is_not_left_to_do() -> None:
    changes: list[Change] = [
        AddColumn("day", "date", "name"),
        WidenColumn("id", "bigint"),
        AllowNulls("id"),
    ]
    assert remaining("t", FOUND, changes) == tuple(changes[:2])
    assert remaining("t", evolved(FOUND, changes), changes) == ()
    assert list(named_types(evolved(FOUND, changes)).values())[-1] == "date"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (AddColumn("id", "string"), "t: id is there already, as int, not string"),
        (AddColumn("day", "date", "no"), "t: day cannot come after no, which is absent"),
        (WidenColumn("no", "bigint"), "t: there is no column no"),
        (AllowNulls("no"), "t: there is no column no"),
        (WidenColumn("id", "string"), "t: id is int, which string does not hold exactly"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(change: Change, told: str) -> None:
    with pytest.raises(IncompatibleSchemaError) as caught:
        remaining("t", FOUND, [change])
    assert caught.value.message == told
    assert "can be added" in caught.value.advice


def test_the_record_goes_on_without_what_only_its_own_commit_did() -> None:
    file = SourceFile("a.csv", "00", 1, 2, "b1", 1)
    before = CommitRecord(
        "run", "t1", {"bronze.a": "3"}, (file,), rows={"ingested": 2}, notes={"score": 1.0}
    )
    after = carried(before, [AllowNulls("id")])
    assert after is not None
    assert (after.token, after.inputs, after.files, after.rows) == ("t1", {"bronze.a": "3"}, (), {})
    assert after.notes == {"score": 1.0, "mark": True, "evolved": ["AllowNulls(name='id')"]}
    assert carried(None, []) is None
