"""Iceberg with its catalog in a PostgreSQL; the whole suite runs over it among the slow tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from storage.adapter import FormatStore
from storage.errors import LakehouseError, LockTimeoutError, TerminalError, TransientError
from storage.plans import upsert_plan
from storage.postgres import SharedLocks
from storage.registry import Lake
from storage.secrets import reference
from storage.types import CommitRecord
from tests.conformance.tables import NAMES, Table
from tests.services.postgres import Postgres
from tests.sessions import adapter_of


def test_spark_and_pyiceberg_see_one_table(shared_store: FormatStore, shared_lake: Lake) -> None:
    table = Table.fresh(shared_store)
    table.create()
    first = table.append((1, "a", 1), (2, "b", 1), token="first")
    table.merge(upsert_plan(["id"], list(NAMES), ["seq"]), (2, "c", 2), (3, "d", 2))
    other = adapter_of(shared_lake, None)  # as another machine, without Spark
    assert [s.record.token for s in other.history(table.ref) if s.record][-1] == "first"
    assert sorted(other.read_arrow(table.ref).column("name").to_pylist()) == ["a", "c", "d"]
    assert table.rows(first.version) == [(1, "a", 1), (2, "b", 1)]
    assert table.append((9, "z", 9), token="first").repeated
    table.store.drop(table.ref)
    assert not other.exists(table.ref)


def test_the_password_is_in_no_listing_of_settings(
    shared_store: FormatStore, postgres: Postgres
) -> None:
    listed = shared_store.session.sql("SET").collect()
    assert any(row["key"].endswith("jdbc.password") for row in listed)
    assert postgres.password not in str(listed)


def test_connections_that_are_left_do_not_pile_up(
    shared_lake: Lake, shared_store: FormatStore, postgres: Postgres
) -> None:
    table = Table.fresh(shared_store)
    table.create()
    table.append((1, "a", 1))
    ended = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = 'catalog' and pid <> pg_backend_pid()"
    )
    postgres.run(ended)  # what the server does to idle sessions, and a restart to all
    assert table.rows() == [(1, "a", 1)]
    assert adapter_of(shared_lake, None).head(table.ref).version == table.head()


def test_a_lock_of_another_machine_is_waited_for(shared_lake: Lake) -> None:
    assert shared_lake.catalog is not None
    here, there = (
        SharedLocks(shared_lake.root / name, shared_lake.catalog, timeout_seconds=30)
        for name in ("here", "there")  # folders of two machines
    )
    held, done = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with here.hold("run.shop"):
            held.set()
            done.wait(30)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert held.wait(30)
    with pytest.raises(LockTimeoutError, match="held by another machine"), \
            there.hold("run.shop", timeout_seconds=0.2):  # fmt: skip
        pass
    with there.hold("run.other"):
        done.set()
    with there.hold("run.shop"):
        order.append("second")
    thread.join(30)
    assert order == ["first", "second"]


def test_a_catalog_that_does_not_answer_is_tried_again_and_a_wrong_password_is_not(
    shared_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared_lake.catalog is not None
    monkeypatch.setenv("WRONG", "s3same")
    away = replace(shared_lake.catalog, url="jdbc:postgresql://127.0.0.1:1/catalog")
    with pytest.raises(TransientError, match=r"catalog jdbc:postgresql://127\.0\.0\.1:1/catalog"):
        adapter_of(replace(shared_lake, catalog=away), None)
    wrong = replace(shared_lake.catalog, password=reference("WRONG"))
    with pytest.raises(TerminalError, match="password authentication failed") as refused:
        adapter_of(replace(shared_lake, catalog=wrong), None)
    assert "s3same" not in str(refused.value)


def test_a_server_that_is_down_is_worth_another_try_and_the_next_one_goes_on(
    shared_lake: Lake, shared_store: FormatStore, spark: SparkSession, postgres: Postgres
) -> None:
    table = Table.fresh(shared_store)
    table.create()
    table.append((1, "a", 1))
    store, ref = shared_store, table.ref
    other = adapter_of(shared_lake, None)
    record = CommitRecord("run", "while it is down")
    rows = table.frame((2, "b", 1))
    calls: dict[str, Callable[[], object]] = {
        "exists": lambda: store.exists(ref),
        "columns": lambda: store.columns(ref),
        "tables": lambda: store.tables(ref.database),
        "history": lambda: store.history(ref),
        "stats": lambda: store.stats(ref),
        "obstacle": lambda: store.obstacle(ref),
        "read": lambda: store.read(ref).collect(),
        "append": lambda: store.append(ref, rows, record),
        "without Spark": lambda: other.read_arrow(ref),
        "a store": lambda: adapter_of(shared_lake, None).exists(ref),
    }
    postgres.kill()
    try:
        for name, call in calls.items():
            with pytest.raises(LakehouseError) as caught:
                call()
            assert isinstance(caught.value, TransientError), (name, caught.value)
    finally:
        postgres.start()
    assert other.history(ref)[0].version == table.head()
    later = adapter_of(shared_lake, spark)
    assert not later.append(ref, rows, record).repeated
    assert sorted(row["id"] for row in later.read(ref).collect()) == [1, 2]


def test_a_full_server_is_worth_another_try(
    shared_lake: Lake, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared_lake.catalog is not None
    postgres.run(
        "drop role if exists crowd", "create role crowd login password 'a-crowd' connection limit 0"
    )
    monkeypatch.setenv("CROWD", "a-crowd")
    crowd = replace(shared_lake.catalog, user="crowd", password=reference("CROWD"))
    with pytest.raises(TransientError, match="too many connections"):
        adapter_of(replace(shared_lake, catalog=crowd), None)


def end_lock_sessions(postgres: Postgres) -> None:
    postgres.run(
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'",
        "select pg_sleep(0.2)",
    )


def test_a_lock_that_was_lost_stops_the_commit(
    shared_lake: Lake,
    shared_store: FormatStore,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """First that of the run, then that of the table, after it was taken for a write."""
    table = Table.fresh(shared_store)
    table.create()
    before = table.head()
    with shared_lake.locks().hold("run.shop"):
        end_lock_sessions(postgres)
        with pytest.raises(
            TransientError, match=r"lock run\.shop was lost, so nothing is committed"
        ):
            table.append((1, "a", 1), token="first")
    assert table.head() == before

    find = shared_store.find

    def find_while_the_lock_is_lost(*arguments: Any) -> object:
        end_lock_sessions(postgres)
        return find(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(shared_store, "find", find_while_the_lock_is_lost)
        with pytest.raises(TransientError, match="was lost, so nothing is committed"):
            table.append((1, "a", 1), token="first")
    assert table.head() == before
    assert not table.append((1, "a", 1), token="first").repeated


def test_the_session_of_a_lock_outlasts_idleness_and_is_watched(
    shared_lake: Lake, postgres: Postgres
) -> None:
    assert shared_lake.catalog is not None
    postgres.run(f"alter role {postgres.user} set idle_session_timeout = '100ms'")
    try:
        with shared_lake.catalog.connect() as connection:
            time.sleep(0.5)
            found = connection.execute("show tcp_keepalives_idle").fetchone()
            client = connection.info.get_parameters()
    finally:
        postgres.run(f"alter role {postgres.user} reset idle_session_timeout")
    assert found == ("30",)
    assert (client["keepalives_idle"], client["tcp_user_timeout"]) == ("30", "60000")
