"""The rows that were added between versions."""

from __future__ import annotations

import pytest

from storage.base import TableStore
from storage.errors import ChangesNotTrackedError, VersionNotFoundError
from tests.conformance.tables import NAMES, Table, record


def test_appended_rows_are_read(table: Table) -> None:
    created = table.head()
    first = table.append((1, "a", 1)).version
    table.append((2, "b", 1), (2, "b", 1))
    assert table.added(first) == [(2, "b", 1)] * 2
    assert table.added(created) == [(1, "a", 1), *[(2, "b", 1)] * 2]
    assert table.added(created, first) == [(1, "a", 1)]


def test_a_checkpoint_in_the_range_adds_nothing(table: Table) -> None:
    created = table.head()
    table.append((1, "a", 1))
    table.store.checkpoint(table.ref, record())
    table.append((2, "b", 1))
    assert table.added(created) == [(1, "a", 1), (2, "b", 1)]


def test_an_empty_range_has_the_columns_and_no_row(table: Table) -> None:
    created = table.head()
    head = table.append((1, "a", 1)).version
    for version in (created, head):
        found = table.store.added(table.ref, version, version)
        assert found.columns == list(NAMES)
        assert found.collect() == []


def test_the_columns_are_the_tables(table: Table) -> None:
    created = table.head()
    first = table.append((1, "a", 1)).version
    table.append((2, "b", 1))
    for after in (created, first):
        assert table.store.added(table.ref, after, table.head()).columns == list(NAMES)


def test_a_range_that_runs_backwards_is_refused(table: Table) -> None:
    first = table.append((1, "a", 1)).version
    second = table.append((2, "b", 1)).version
    with pytest.raises(VersionNotFoundError):
        table.store.added(table.ref, second, first)


@pytest.mark.notimpl("delta", reason="what was added is read from the change feed only")
def test_appends_to_an_untracked_table_can_be_read(store: TableStore) -> None:
    table = Table.fresh(store)
    table.create(track_changes=False)
    before = table.append((1, "a", 1)).version
    table.append((2, "b", 1))
    assert table.added(before) == [(2, "b", 1)]
    store.drop(table.ref)


def test_a_delta_table_without_change_feed_is_refused(stores: dict[str, TableStore]) -> None:
    table = Table.fresh(stores["delta"])
    table.create(track_changes=False)
    before = table.append((1, "a", 1)).version
    table.append((2, "b", 1))
    with pytest.raises(ChangesNotTrackedError, match="track_changes"):
        table.store.added(table.ref, before, table.head())
    table.store.drop(table.ref)
