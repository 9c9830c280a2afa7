"""Stores side by side: each keeps its own commit records, and no commit of a shared table is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from pyspark.sql import SparkSession

from storage.plans import upsert_plan
from storage.registry import Lake
from storage.types import Version
from tests.conformance.tables import NAMES, Table, record

UPSERT = upsert_plan(["id"], NAMES, ["seq"])
WRITERS, ROUNDS = 2, 3


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_sessions_that_write_at_once_keep_their_own_records(
    lake: Lake, spark: SparkSession
) -> None:
    tables = [Table.fresh(lake.store(spark)) for _ in range(WRITERS)]
    for table in tables:
        table.create()
    start = Barrier(WRITERS)

    def work(number: int) -> None:
        table = tables[number]
        for turn in range(ROUNDS):
            start.wait(60)
            mine = record(f"writer {number} merge {turn}", notes={"writer": number})
            table.store.merge(table.ref, table.frame((turn, "a", turn)), UPSERT, mine)
            start.wait(60)
            mine = record(f"writer {number} delete {turn}", notes={"writer": number})
            table.store.delete(table.ref, f"id = {turn - 1}", mine)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(work, range(WRITERS)))
    for number, table in enumerate(tables):
        found = [e.record for e in table.store.since(table.ref, None) if e.record]
        assert [r.token for r in found] == [
            f"writer {number} {what} {turn}"
            for turn in range(ROUNDS)
            for what in ("merge", "delete")
        ]
        assert {r.notes["writer"] for r in found} == {number}
        assert table.rows() == [(ROUNDS - 1, "a", ROUNDS - 1)]


@pytest.mark.never("parquet", reason="rows are only ever added")
def test_sessions_that_write_to_one_table_lose_nothing(lake: Lake, spark: SparkSession) -> None:
    stores = [lake.store(spark) for _ in range(WRITERS)]
    shared = Table.fresh(stores[0])
    shared.create()
    start = Barrier(WRITERS)

    def work(number: int) -> list[Version]:
        store = stores[number]
        versions: list[Version] = []
        start.wait(60)
        for turn in range(ROUNDS):
            mine = record(f"{number}/{turn}")
            rows = shared.frame((number, f"turn {turn}", turn), store=store)
            versions.append(store.merge(shared.ref, rows, UPSERT, mine).version)
        return versions

    with ThreadPoolExecutor(WRITERS) as pool:
        versions = [v for found in pool.map(work, range(WRITERS)) for v in found]
    assert len(set(versions)) == WRITERS * ROUNDS
    history = shared.store.history(shared.ref)
    tokens = {e.version: e.record.token for e in history if e.record}
    assert sorted(tokens.values()) == sorted(
        f"{number}/{turn}" for number in range(WRITERS) for turn in range(ROUNDS)
    )
    last = ROUNDS - 1
    assert shared.rows() == [(number, f"turn {last}", last) for number in range(WRITERS)]


def test_one_session_sees_what_another_committed(lake: Lake, spark: SparkSession) -> None:
    writer, reader = (Table.fresh(lake.store(spark)) for _ in range(2))
    reader.ref = writer.ref
    writer.create()
    assert reader.rows() == []
    writer.append((1, "a", 1))
    assert reader.rows() == [(1, "a", 1)]
    assert lake.store(None).read_arrow(writer.ref).num_rows == 1
    assert reader.append((1, "a", 1), token="from the reader").token == "from the reader"
    assert len(writer.rows()) == 2
