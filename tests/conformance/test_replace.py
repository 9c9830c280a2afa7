"""Rows and columns replaced in one commit: what was there before stays readable as it was."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from storage.base import TableStore
from storage.plans import upsert_plan
from storage.schemas import arrow_schema, named_types, schema
from storage.types import SourceFile
from tests.conformance.tables import Table, record

OLD = (("id", "int"), ("price", "decimal(6,2)"), ("gone", "string"), ("seq", "bigint"))
NEW = (("seq", "int"), ("id", "string"), ("price", "decimal(4,1)"), ("day", "date"))
"""A narrower type, another type, a dropped and a new column, another order."""


@pytest.fixture
def old(store: TableStore) -> Iterator[Table]:
    made = Table.fresh(store, OLD)
    made.create(track_changes=False)
    made.append((1, "12.30", "x", 1), (2, None, "y", 1), contract="old")
    yield made
    store.drop(made.ref)


def replaced(table: Table, *rows: tuple[object, ...], token: str | None = None) -> Table:
    new = Table(table.store, table.ref, schema(NEW))
    written = record(token, contract="new", inputs={"bronze.a": "7"})
    commit = table.store.replace(table.ref, new.frame(*rows), written)
    assert (commit.operation, commit.token) == ("replace", written.token)
    return new


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_rows_and_columns_are_those_given(old: Table) -> None:
    new = replaced(old, (1, "a", "9.5", "2018-10-17"), (2, "b", None, None))
    store, ref = new.store, new.ref
    assert list(named_types(store.columns(ref)).items()) == list(NEW)
    assert store.read(ref).schema == new.schema
    assert [(row[0], row[1], row[2]) for row in new.rows()] == [
        (1, "a", Decimal("9.5")), (2, "b", None)
    ]  # fmt: skip
    direct = store.read_arrow(ref)
    assert direct.schema.types == [f.type for f in arrow_schema(new.schema)]
    assert sorted(direct["id"].to_pylist()) == ["a", "b"]
    assert (store.obstacle(ref), store.stats(ref).rows) == (None, 2)


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_it_is_one_commit_that_carries_its_record(old: Table) -> None:
    store, ref, before = old.store, old.ref, old.head()
    replaced(old, (1, "a", "9.5", None), token="once")
    (entry,) = store.since(ref, before)
    assert entry.record is not None
    assert (entry.record.contract, entry.record.inputs) == ("new", {"bronze.a": "7"})
    assert store.head(ref).version == entry.version
    # A repeat, as after a kill, finds it.
    new = Table(store, ref, schema(NEW))
    again = store.replace(ref, new.frame((9, "z", None, None)), record("once"))
    assert (again.version, again.repeated) == (entry.version, True)
    assert new.rows()[0][:2] == (1, "a")


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_earlier_versions_stay_readable_and_in_the_history(old: Table) -> None:
    store, ref, before = old.store, old.ref, old.head()
    file = SourceFile("a.csv", "00", 1, 1, "b1", 1)
    old.append((3, "1", "z", 2), files=(file,))
    versions = [entry.version for entry in store.history(ref)]
    new = replaced(old, (1, "a", "9.5", None))
    new.append((2, "b", "1", None))
    assert [entry.version for entry in store.history(ref)][2:] == versions
    assert old.rows(before) == [(1, Decimal("12.30"), "x", 1), (2, None, "y", 1)]
    assert store.read(ref, before).columns == [name for name, _ in OLD]
    assert [f for e in store.history(ref) if e.record for f in e.record.files] == [file]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_the_table_goes_on_as_any_other(old: Table) -> None:
    new = replaced(old, (1, "a", "9.5", None))
    new.merge(
        upsert_plan(["id"], [n for n, _ in NEW], ["seq"]), (2, "a", "8", None), (1, "b", "7", None)
    )
    new.store.delete(new.ref, "id = 'b'", record())
    new.append((5, "b", "5", None))
    assert [row[:2] for row in new.rows()] == [(2, "a"), (5, "b")]
    new.create(track_changes=False)  # it is the table that the new columns declare
    assert len(new.store.history(new.ref, limit=3)) == 3


@pytest.mark.parametrize("rows", [[], [(1, "12.30", "x", 1)]], ids=["never written", "with rows"])
@pytest.mark.never("parquet", reason="rows are only ever added")
def test_no_rows_are_enough(store: TableStore, rows: list[tuple[object, ...]]) -> None:
    table = Table.fresh(store, OLD)
    table.create(track_changes=False)
    if rows:
        table.append(*rows)
    new = replaced(table)
    assert new.rows() == []
    assert list(named_types(store.columns(table.ref))) == [name for name, _ in NEW]
    head = store.head(table.ref).record
    assert head is not None
    assert head.contract == "new"
    store.drop(table.ref)


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_partitions_stay_where_their_column_does(store: TableStore) -> None:
    table = Table.fresh(store, OLD)
    table.create(partition_by=["seq"])
    table.append((1, "1", "a", 1), (2, "2", "b", 2))
    new = replaced(table, (1, "a", "1", None), (2, "b", "2", None))
    new.append((2, "c", "3", None), (3, "d", "4", None))
    assert store.stats(table.ref).files == 4
    store.drop(table.ref)


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_a_rollback_brings_the_columns_back(old: Table) -> None:
    before = old.head()
    replaced(old, (1, "a", "9.5", None))
    old.store.rollback(old.ref, before, record())
    assert list(named_types(old.store.columns(old.ref)).items()) == list(OLD)
    assert old.rows() == [(1, Decimal("12.30"), "x", 1), (2, None, "y", 1)]
