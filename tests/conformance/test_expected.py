"""A write that names the version it was checked against is made on that version or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
import pytest
from pyiceberg.table.update.snapshot import ManageSnapshots
from pyspark.sql import DataFrame, Row

from storage.adapter import FormatStore
from storage.base import TableStore
from storage.errors import CommitConflictError, TransientError
from storage.plans import upsert_plan
from storage.registry import Lake
from storage.types import Commit, CommitRecord, TableRef, Version
from tests.conformance.tables import NAMES, Table, record
from tests.sessions import adapter_of

PLAN = upsert_plan(["id"], NAMES, ["seq"])
MINE, THEIRS = (1, "mine", 1), (2, "theirs", 1)
Write = Callable[[Table, CommitRecord, Version], Commit]

WRITES: dict[str, Write] = {
    "append": lambda t, r, v: t.store.append(t.ref, t.frame(MINE), r, expected=v),
    "merge": lambda t, r, v: t.store.merge(t.ref, t.frame(MINE), PLAN, r, expected=v),
    "overwrite": lambda t, r, v: t.store.overwrite(t.ref, t.frame(MINE), r, expected=v),
    "replace": lambda t, r, v: t.store.replace(t.ref, t.frame(MINE), r, expected=v),
    "delete": lambda t, r, v: t.store.delete(t.ref, "id > 0", r, expected=v),
    "checkpoint": lambda t, r, v: t.store.checkpoint(t.ref, r, expected=v),
    "rollback": lambda t, r, v: t.store.rollback(
        t.ref, t.store.history(t.ref)[-1].version, r, expected=v
    ),
    "overwrite_arrow": lambda t, r, v: t.store.overwrite_arrow(
        t.ref, t.frame(MINE).toArrow(), r, expected=v
    ),
}
ADDING = ("append", "checkpoint", "rollback")
"""Writes that a format whose rows are only ever added has too."""


never = pytest.mark.never("parquet", reason="rows of a Parquet table are only ever added")


@pytest.fixture(params=[n if n in ADDING else pytest.param(n, marks=never) for n in WRITES])
def write(request: pytest.FixtureRequest) -> Write:
    return WRITES[request.param]


def tokens(table: Table) -> list[str]:
    return [e.record.token for e in table.store.history(table.ref) if e.record]


def test_a_write_upon_the_version_that_it_expects_is_made(table: Table, write: Write) -> None:
    table.append(THEIRS)
    written = record()
    commit = write(table, written, table.head())
    assert (commit.version, commit.repeated) == (table.head(), False)
    assert tokens(table)[0] == written.token


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_write_upon_another_version_is_refused_and_changes_nothing(
    table: Table, write: Write
) -> None:
    checked = table.head()
    table.append(THEIRS)
    before = table.head()
    with pytest.raises(
        CommitConflictError, match=f"at version {before}.*version {checked}"
    ) as told:
        write(table, record(), checked)
    assert isinstance(told.value, TransientError)
    assert table.ref.label in told.value.message
    assert (table.head(), table.rows()) == (before, [THEIRS])


def test_a_repeat_finds_its_token_whatever_it_expects(table: Table, write: Write) -> None:
    checked, written = table.head(), record()
    made = write(table, written, checked)
    table.append(THEIRS)
    before = table.head()
    again = write(table, written, checked)
    assert (again.version, again.repeated) == (made.version, True)
    assert table.head() == before


def test_versions_after_refused_writes_are_read_as_ever(table: Table) -> None:
    first = table.append(THEIRS).version
    for _ in range(2):
        with pytest.raises(CommitConflictError):
            table.store.append(table.ref, table.frame(MINE), record(), expected=Version("0"))
    second = table.store.append(table.ref, table.frame(MINE), record(), expected=first).version
    assert [e.version for e in table.store.history(table.ref, 2)] == [second, first]
    assert table.added(first, second) == [MINE]


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("then", ["append", pytest.param("replace", marks=never)])
def test_what_a_killed_write_has_left_beside_the_table_is_never_seen(
    table: Table, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """Iceberg writes the snapshot first and makes it current in a second commit."""

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    first = table.append(THEIRS).version
    mine = record()
    with monkeypatch.context() as patched:
        patched.setattr(ManageSnapshots, "set_current_snapshot", killed)
        patched.setattr(FormatStore, "_refuse_other_base", killed)
        with pytest.raises(KilledError):
            table.store.append(table.ref, table.frame(MINE), mine, expected=first)
    seen = table.head()
    assert (table.rows() == [MINE, THEIRS]) == (seen != first)
    second = getattr(table.store, then)(table.ref, table.frame(MINE), record(), expected=seen)
    assert table.rows()[:1] == [MINE]
    expected = [second.version, seen] if seen == first else [second.version, seen, first]
    assert [e.version for e in table.store.history(table.ref, len(expected))] == expected


def passing_the_lock(lake: Lake, ref: TableRef, rows: DataFrame) -> DataFrame:
    """The rows; while they are written, another process commits without holding the table's lock."""

    secrets = {"CATALOG_PASSWORD": os.environ.get("CATALOG_PASSWORD", "")}

    def meanwhile(part: Iterable[Row]) -> Iterator[Row]:
        os.environ.update(secrets)
        other = pa.Table.from_pylist([dict(zip(NAMES, THEIRS, strict=True))])
        adapter_of(lake, None)._append_arrow(ref, other, CommitRecord("another run", "theirs"))
        yield from part

    rows.sparkSession.sparkContext.pythonExec = sys.executable  # the one that has the packages
    written = rows.coalesce(1).rdd.mapPartitions(meanwhile)
    return rows.sparkSession.createDataFrame(written, rows.schema)


@pytest.mark.parametrize("operation", ["append", pytest.param("overwrite", marks=never)])
def test_a_commit_of_another_process_while_rows_are_written_is_not_built_upon(
    lake: Lake, table: Table, operation: str
) -> None:
    """Its lock was lost, or it is the JVM of a run that was killed."""
    rows = passing_the_lock(lake, table.ref, table.frame(MINE))
    mine = record()
    with pytest.raises(CommitConflictError):
        getattr(table.store, operation)(table.ref, rows, mine, expected=table.head())
    assert table.rows() == [THEIRS]
    assert tokens(table) == ["theirs"]
    table.store.append(table.ref, table.frame(MINE), mine, expected=table.head())
    assert table.rows() == [MINE, THEIRS]


def test_a_commit_just_before_the_write_begins_is_not_built_upon(
    lake: Lake, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = table.store
    whole = type(store)._append  # type: ignore[attr-defined]

    def late(self: TableStore, ref: TableRef, rows: DataFrame, given: CommitRecord) -> None:
        if given.run_id != "another run":
            whole(adapter_of(lake, store.session), ref, table.frame(THEIRS), theirs)
        whole(self, ref, rows, given)

    mine, theirs = record(), CommitRecord("another run", "theirs", inputs={"bronze.x": "7"})
    with monkeypatch.context() as patched:
        patched.setattr(type(store), "_append", late)
        with pytest.raises(CommitConflictError):
            store.append(table.ref, table.frame(MINE), mine, expected=table.head())
    assert table.rows() == [THEIRS]
    head = store.head(table.ref).record
    assert head is not None
    assert head.inputs == theirs.inputs, "the position is that of the commit that counts"
    assert store.find(table.ref, mine.token) is None
    assert not store.append(table.ref, table.frame(MINE), mine, expected=table.head()).repeated
    assert table.rows() == [MINE, THEIRS]
