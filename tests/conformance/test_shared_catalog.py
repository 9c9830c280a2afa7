"""Iceberg with its catalog in a PostgreSQL; the whole suite runs over it among the slow tests."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from storage.adapter import FormatStore
from storage.errors import LockTimeoutError, TerminalError, TransientError
from storage.plans import upsert_plan
from storage.postgres import PostgresAddress, SharedLocks
from storage.registry import Lake
from tests.conformance.tables import NAMES, Table
from tests.services.postgres import Postgres


def test_spark_and_pyiceberg_see_one_table(shared_store: FormatStore, shared_lake: Lake) -> None:
    table = Table.fresh(shared_store)
    table.create()
    first = table.append((1, "a", 1), (2, "b", 1), token="first")
    table.merge(upsert_plan(["id"], list(NAMES), ["seq"]), (2, "c", 2), (3, "d", 2))
    other = shared_lake.adapter(None)  # as another machine, without Spark
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
    assert shared_lake.adapter(None).head(table.ref).version == table.head()


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
    shared_lake: Lake, postgres: Postgres
) -> None:
    assert shared_lake.catalog is not None
    away = PostgresAddress("jdbc:postgresql://127.0.0.1:1/catalog", postgres.user, "s3same")
    with pytest.raises(TransientError, match=r"catalog jdbc:postgresql://127\.0\.0\.1:1/catalog"):
        replace(shared_lake, catalog=away).adapter(None)
    wrong = replace(shared_lake.catalog, password="s3same")
    with pytest.raises(TerminalError, match="password authentication failed") as refused:
        replace(shared_lake, catalog=wrong).adapter(None)
    assert "s3same" not in str(refused.value)
