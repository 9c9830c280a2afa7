"""What a rollback means for those who go by a table's history."""

from __future__ import annotations

import pytest

from storage.errors import VersionNotFoundError
from storage.evolution import AddColumn
from storage.types import Version
from tests.conformance.tables import Table, record


def versions(table: Table, after: Version | None) -> list[str]:
    return [entry.version for entry in table.store.since(table.ref, after)]


def test_the_commits_since_a_version_are_those_that_count(table: Table) -> None:
    created = table.head()
    first, second, third = (table.append((n, "a", n)).version for n in (1, 2, 3))
    back = table.store.rollback(table.ref, first, record()).version
    assert versions(table, first) == [], "the rows are those of that version"
    assert versions(table, created) == [first]
    assert versions(table, None) == [created, first]
    assert versions(table, second) == versions(table, third) == [back], "rows went"
    fourth = table.append((4, "a", 4)).version
    assert versions(table, first) == [fourth]
    assert versions(table, back) == [fourth]
    assert versions(table, second) == [back, fourth]
    assert versions(table, None) == [created, first, fourth]
    again = table.store.rollback(table.ref, second, record()).version
    assert versions(table, first) == [second]
    assert versions(table, third) == [again]
    assert set(versions(table, fourth)) == {again, second}
    with pytest.raises(VersionNotFoundError):
        table.store.lineage(table.ref, Version("77"))
    behind = [e.version for e in table.store.lineage(table.ref, fourth)]
    assert behind == [fourth, back, first, created]


def test_a_token_that_was_rolled_back_is_written_again(table: Table) -> None:
    first = table.append((1, "a", 1), token="kept").version
    table.append((2, "b", 1), token="undone")
    table.store.rollback(table.ref, first, record("back"))
    assert table.append((1, "a", 1), token="kept").repeated
    assert table.store.find(table.ref, "undone") is None
    assert not table.append((2, "b", 1), token="undone").repeated
    assert table.append((2, "b", 1), token="undone").repeated
    assert table.rows() == [(1, "a", 1), (2, "b", 1)]
    assert table.store.rollback(table.ref, first, record("back")).repeated


def test_the_record_names_both_versions(table: Table) -> None:
    first = table.append((1, "a", 1)).version
    second = table.append((2, "b", 1)).version
    table.store.rollback(table.ref, first, record("back", inputs={"bronze.a": "3"}))
    found = table.store.head(table.ref).record
    assert found is not None
    assert found.inputs == {"bronze.a": "3"}
    assert found.notes == {"rollback": {"to": first, "of": second}}


def test_a_change_of_columns_is_no_second_rollback(table: Table) -> None:
    first = table.append((1, "a", 1)).version
    table.append((2, "b", 1))
    back = table.store.rollback(table.ref, first, record()).version
    table.append((3, "c", 1), token="after")
    table.store.rollback(table.ref, back, record())
    table.store.evolve(table.ref, [AddColumn("day", "date", "seq")])
    assert table.store.find(table.ref, "after") is None
    behind = table.store.lineage(table.ref)
    assert [e.version for e in behind if e.version in (back, first)] == [back, first]
