"""Append, overwrite, delete, mark and rollback; the record inside each commit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from storage.errors import TerminalError
from storage.plans import upsert_plan
from storage.registry import Lake
from storage.types import CommitRecord, SourceFile
from tests.conformance.tables import NAMES, Table, record

UNKIND = "ünïcode ☃ \U0001f9ca 'single' \"double\" \\back\\slash `tick` $1 ${spark.app.name} %s {} \n\t;--"
CHANGING = [
    pytest.param(write, marks=pytest.mark.never("parquet", reason="rows are only ever added"))
    for write in ("merge", "overwrite", "delete")
]


def full_record(token: str) -> CommitRecord:
    return CommitRecord(
        run_id=UNKIND,
        token=token,
        inputs={"bronze.orders": "12", UNKIND: "13"},
        files=(SourceFile(f"{UNKIND}.csv", "0" * 64, 1, 2, "b1", 1),),
        code="1.0",
        contract="c",
        rows={"ingested": 2**40},
        as_of="2018-10-17T00:00:00+00:00",
        notes={"text": UNKIND, "nested": {"list": [1, None, 1.5, True]}, "big": "x" * 300_000},
    )


@pytest.mark.parametrize("write", ["append", *CHANGING, "checkpoint", "rollback"])
def test_the_record_of_every_write_comes_back_whole(table: Table, write: str) -> None:
    first = table.append((1, "a", 1), (2, "b", 1))
    store, ref, wanted = table.store, table.ref, full_record(f"token of {UNKIND}")
    rows = table.frame((1, "A", 2))
    commit = {
        "append": lambda: store.append(ref, rows, wanted),
        "merge": lambda: store.merge(ref, rows, upsert_plan(["id"], NAMES, ["seq"]), wanted),
        "overwrite": lambda: store.overwrite(ref, rows, wanted),
        "delete": lambda: store.delete(ref, "id = 1", wanted),
        "checkpoint": lambda: store.checkpoint(ref, wanted),
        "rollback": lambda: store.rollback(ref, first.version, wanted),
    }[write]()
    head = store.head(ref)
    if write == "rollback":
        wanted.notes["rollback"] = {"to": first.version, "of": first.version}  # type: ignore[index]
    assert head.record == wanted
    assert (commit.version, commit.token, commit.repeated) == (head.version, wanted.token, False)
    assert [e.version for e in store.history(ref)[:2]] == [commit.version, first.version]


def test_unkind_values_come_back(table: Table) -> None:
    table.append((1, UNKIND, 1), (2, "", 1), (3, None, None), (None, None, None))
    assert set(table.rows()) == {(1, UNKIND, 1), (2, "", 1), (3, None, None), (None, None, None)}


def test_a_repeated_token_writes_nothing(table: Table) -> None:
    first = table.append((1, "a", 1), token="once")
    table.append((2, "b", 1))
    head = table.head()
    again = table.append((1, "a", 1), token="once")
    assert (again.version, again.repeated) == (first.version, True)
    # Whatever the write is: the token says that its work is done.
    assert table.store.delete(table.ref, "true", record("once")).repeated
    assert table.store.overwrite(table.ref, table.frame(), record("once")).repeated
    assert table.store.checkpoint(table.ref, record("once")).repeated
    assert table.head() == head
    assert table.rows() == [(1, "a", 1), (2, "b", 1)]


def test_head_and_history_give_the_commits_newest_first(table: Table) -> None:
    created = table.head()
    commits = [table.append((n, "a", n), token=f"history-{n}") for n in range(3)]
    history = table.store.history(table.ref)
    assert [e.version for e in history] == [*[c.version for c in commits[::-1]], created]
    assert [e.record.token if e.record else None for e in history] == [
        "history-2", "history-1", "history-0", None
    ]  # fmt: skip
    assert history[0].committed_at >= history[1].committed_at >= history[2].committed_at
    assert table.store.history(table.ref, limit=2) == history[:2]
    assert table.store.head(table.ref) == history[0]
    assert table.store.find(table.ref, "history-1") == history[1]
    assert table.store.find(table.ref, "another") is None


def test_since_gives_the_commits_after_a_version_oldest_first(table: Table) -> None:
    created = table.head()
    commits = [table.append((n, "a", n)) for n in range(3)]
    versions = [c.version for c in commits]
    store, ref = table.store, table.ref
    assert [e.version for e in store.since(ref, None)] == [created, *versions]
    assert [e.version for e in store.since(ref, created)] == versions
    assert [e.version for e in store.since(ref, versions[1])] == versions[2:]
    assert store.since(ref, versions[-1]) == []


@pytest.mark.never("parquet", reason="only this platform writes its manifests")
def test_the_head_of_a_foreign_commit_carries_the_newest_record(table: Table) -> None:
    table.append((1, "a", 1), token="ours")
    name = table.store._name(table.ref)  # type: ignore[attr-defined]
    table.store.session.sql(f"INSERT INTO {name} VALUES (2, 'b', 2)").collect()
    head = table.store.head(table.ref)
    assert head.version == table.store.history(table.ref)[0].version
    assert head.record is not None
    assert head.record.token == "ours"


@pytest.mark.parametrize("write", ["append", *CHANGING])
def test_a_write_that_changes_no_row_still_commits_its_record(table: Table, write: str) -> None:
    table.append((1, "a", 1))
    store, ref, none = table.store, table.ref, table.frame()
    commit = {
        "append": lambda r: store.append(ref, none, r),
        "merge": lambda r: store.merge(ref, none, upsert_plan(["id"], NAMES, ["seq"]), r),
        "overwrite": lambda r: store.overwrite(ref, table.frame((1, "a", 1)), r),
        "delete": lambda r: store.delete(ref, "id = 99", r),
    }[write](record("nothing"))
    assert store.head(ref).version == commit.version
    found = store.head(ref).record
    assert found is not None
    assert found.token == "nothing"
    assert table.rows() == [(1, "a", 1)]


def test_a_mark_is_a_commit_that_leaves_the_rows(table: Table) -> None:
    table.append((1, "a", 1))
    before = table.head()
    marked = table.store.checkpoint(table.ref, record(inputs={"bronze.orders": "5"}))
    assert marked.version != before
    assert table.rows() == [(1, "a", 1)]
    assert table.changes(before) == []
    found = table.store.head(table.ref).record
    assert found is not None
    assert found.inputs == {"bronze.orders": "5"}


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_overwrite_replaces_all_rows(table: Table) -> None:
    table.append((1, "a", 1), (2, "b", 1))
    table.store.overwrite(table.ref, table.frame((3, "c", 1)), record())
    assert table.rows() == [(3, "c", 1)]
    table.store.overwrite(table.ref, table.frame(), record())
    assert table.rows() == []


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_delete_takes_the_rows_that_satisfy_it(table: Table) -> None:
    table.append((1, "a", 1), (2, "b", 1), (None, None, None))
    table.append((3, "c", 1))
    table.store.delete(table.ref, "id = 1", record())  # a part of a file
    assert table.rows() == [(2, "b", 1), (3, "c", 1), (None, None, None)]
    table.store.delete(table.ref, "id = 3 OR name = 'c'", record())  # a whole file
    assert table.rows() == [(2, "b", 1), (None, None, None)]
    table.store.delete(table.ref, "true", record())
    assert table.rows() == []


def test_a_rollback_is_a_new_commit_and_keeps_what_came_between(table: Table) -> None:
    created = table.head()
    first = table.append((1, "a", 1)).version
    second = table.append((2, "b", 1)).version
    back = table.store.rollback(table.ref, first, record("back"))
    assert table.rows() == table.rows(first) == [(1, "a", 1)]
    assert table.rows(second) == [(1, "a", 1), (2, "b", 1)]
    history = table.store.history(table.ref)
    assert [e.version for e in history] == [back.version, second, first, created]
    assert table.store.rollback(table.ref, first, record("back")).repeated
    table.append((3, "c", 1))
    assert table.rows() == [(1, "a", 1), (3, "c", 1)]
    table.store.rollback(table.ref, created, record())
    assert table.rows() == []


@pytest.mark.parametrize("write", ["append", CHANGING[1], "delete"])
def test_a_failing_write_leaves_no_trace(table: Table, write: str) -> None:
    table.append((1, "a", 1))
    head = table.head()
    broken = table.store.session.sql(
        "SELECT id, CAST(raise_error('broken row') AS STRING) AS name, 1L AS seq FROM range(3)"
    )
    store, ref, token = table.store, table.ref, record("broken")
    attempts: dict[str, list[tuple[str | None, Callable[[], object]]]] = {
        "append": [("broken row", lambda: store.append(ref, broken, token))],
        "overwrite": [("broken row", lambda: store.overwrite(ref, broken, token))],
        "delete": [
            (None, lambda: store.delete(ref, "no_such_column = 1", token)),
            (None, lambda: store.delete(ref, "id = = 1", token)),
        ],
    }
    for told, attempt in attempts[write]:
        with pytest.raises(TerminalError, match=told):
            attempt()
    assert table.head() == head
    assert table.rows() == [(1, "a", 1)]
    # The failure is not remembered: the same token goes through once its cause is gone.
    assert not table.append((2, "b", 1), token="broken").repeated


def test_columns_go_by_name_and_a_missing_one_is_null(table: Table) -> None:
    table.store.append(table.ref, table.frame((1, "a", 2)).select("seq", "name", "id"), record())
    table.store.append(table.ref, table.frame((2, "b", 3)).select("seq", "id"), record())
    assert table.rows() == [(1, "a", 2), (2, None, 3)]


@pytest.mark.parametrize("column", ["1 AS extra", "'text' AS seq"], ids=["extra", "type"])
def test_rows_that_do_not_fit_are_refused(table: Table, column: str) -> None:
    head = table.head()
    wrong = table.frame((1, "a", 1)).drop("seq").selectExpr("*", column)
    with pytest.raises(TerminalError):
        table.store.append(table.ref, wrong, record())
    assert table.head() == head


@pytest.mark.notyet("delta", reason="an append of INT to a BIGINT column is refused, not widened")
def test_a_narrower_integer_is_widened(table: Table) -> None:
    narrow = table.store.session.sql("SELECT 1 AS id, 'a' AS name, 1 AS seq")
    table.store.append(table.ref, narrow, record())
    assert table.rows() == [(1, "a", 1)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_stats_follow_the_current_version(table: Table) -> None:
    table.append((1, "a", 1), (2, "b", 1))
    table.append((3, "c", 1))
    stats = table.store.stats(table.ref)
    assert (stats.rows, stats.files) == (3, 2)
    table.store.delete(table.ref, "id = 1", record())
    assert table.store.stats(table.ref).rows == 2
    table.store.delete(table.ref, "true", record())
    assert table.store.stats(table.ref) == type(stats)(0, 0, 0)


def test_bytes_are_those_of_the_files(table: Table, lake: Lake) -> None:
    table.append((1, "a", 1), (2, "b", 1))
    table.append((3, "c", 1))
    files = list((lake.root / lake.format / table.ref.path).rglob("*.parquet"))
    assert len(files) == 2
    assert table.store.stats(table.ref).bytes == sum(f.stat().st_size for f in files)
