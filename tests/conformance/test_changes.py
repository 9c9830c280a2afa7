"""Row changes between versions."""

from __future__ import annotations

import random

import pytest

from storage.base import TableStore
from storage.errors import ChangesNotTrackedError, VersionNotFoundError
from storage.plans import upsert_plan
from tests.conformance.tables import NAMES, Table, record

UPSERT = upsert_plan(["id"], NAMES, ["seq"])


def test_appended_rows_are_inserts(table: Table) -> None:
    created = table.head()
    first = table.append((1, "a", 1)).version
    table.append((2, "b", 1), (2, "b", 1))
    assert table.changes(first) == [("insert", 2, "b", 1)] * 2
    assert table.changes(created) == [("insert", 1, "a", 1), *[("insert", 2, "b", 1)] * 2]
    assert table.changes(created, first) == [("insert", 1, "a", 1)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_an_update_is_a_delete_and_an_insert(table: Table) -> None:
    before = table.append((1, "a", 1), (2, "b", 1)).version
    table.merge(UPSERT, (1, "A", 2), (3, "c", 1))
    assert table.changes(before) == [
        ("delete", 1, "a", 1),
        ("insert", 1, "A", 2),
        ("insert", 3, "c", 1),
    ]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_each_commit_of_the_range_tells_its_own(table: Table) -> None:
    before = table.append((1, "a", 1)).version
    table.merge(UPSERT, (1, "b", 2))
    table.merge(UPSERT, (1, "c", 3))
    assert table.changes(before) == [
        ("delete", 1, "a", 1),
        ("delete", 1, "b", 2),
        ("insert", 1, "b", 2),
        ("insert", 1, "c", 3),
    ]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_deleted_rows_are_deletes(table: Table) -> None:
    before = table.append((1, "a", 1), (2, "b", 1)).version
    table.store.delete(table.ref, "id = 1", record())
    table.store.delete(table.ref, "true", record())
    assert table.changes(before) == [("delete", 1, "a", 1), ("delete", 2, "b", 1)]


def test_an_empty_range_has_the_columns_and_no_row(table: Table) -> None:
    created = table.head()
    head = table.append((1, "a", 1)).version
    for version in (created, head):
        found = table.store.changes(table.ref, version, version)
        assert found.columns == [*NAMES, "_change_type"]
        assert found.collect() == []


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_the_columns_are_the_tables_and_the_kind(table: Table) -> None:
    created = table.head()
    first = table.append((1, "a", 1)).version
    table.merge(UPSERT, (1, "b", 2))
    for after in (created, first):
        assert table.store.changes(table.ref, after, table.head()).columns == [
            *NAMES, "_change_type"
        ]  # fmt: skip


def test_a_range_that_runs_backwards_is_refused(table: Table) -> None:
    first = table.append((1, "a", 1)).version
    second = table.append((2, "b", 1)).version
    with pytest.raises(VersionNotFoundError):
        table.store.changes(table.ref, second, first)


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_rewrites_of_an_untracked_table_are_refused(store: TableStore) -> None:
    table = Table.fresh(store)
    table.create(track_changes=False)
    before = table.append((1, "a", 1)).version
    table.merge(UPSERT, (1, "b", 2))
    with pytest.raises(ChangesNotTrackedError, match="track_changes"):
        store.changes(table.ref, before, table.head())
    store.drop(table.ref)


@pytest.mark.notimpl("delta", reason="appends, too, are read from the change feed only")
def test_appends_to_an_untracked_table_can_be_read(store: TableStore) -> None:
    table = Table.fresh(store)
    table.create(track_changes=False)
    before = table.append((1, "a", 1)).version
    table.append((2, "b", 1))
    assert table.changes(before) == [("insert", 2, "b", 1)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_changes_lead_from_any_version_to_any_later_one(table: Table) -> None:
    """Rewritten rows may be told as a delete and an insert of the same; applied they cancel out."""
    draw = random.Random(3)
    versions = [table.head(), table.append((1, "a", 1), (2, "b", 1), (2, "b", 1)).version]
    store, ref = table.store, table.ref
    store.delete(ref, "id = 2 AND seq = 1", record())
    versions.append(table.merge(UPSERT, (1, "c", 2), (3, "d", 1)).version)
    versions.append(store.overwrite(ref, table.frame((1, "c", 2), (4, "e", 1)), record()).version)
    versions.append(store.checkpoint(ref, record()).version)
    versions.append(store.rollback(ref, versions[2], record()).version)
    pairs = [(a, b) for n, a in enumerate(versions) for b in versions[n + 1 :]]
    for after, until in [(versions[0], versions[-1]), *draw.sample(pairs, 3)]:
        assert table.replayed(after, until) == table.rows(until)
