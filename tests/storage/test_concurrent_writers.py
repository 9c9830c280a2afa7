"""Three processes write one table at once, over a thousand commits in all: none is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from storage.formats import formats_for
from storage.postgres import PostgresAddress
from storage.registry import Lake
from storage.schemas import schema
from tests.conftest import MakeLake
from tests.services.postgres import Postgres
from tests.storage.concurrent_writer import COLUMNS, REF, Work, arguments

REPOSITORY = Path(__file__).parents[2]
WRITERS = ((460, 0), (460, 0), (120, 4))
"""Commits of each process, and every how many of them is a merge by Spark; the others are appends."""
COMMITS = sum(commits for commits, _ in WRITERS)


def write_at_once(
    lake: Lake, *, locked: bool = True, shared: bool = True,
    writers: Sequence[tuple[int, int]] = WRITERS,
) -> list[dict[str, Any]]:  # fmt: skip
    """Start the processes, let them go together, and collect what each was told."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.storage.concurrent_writer",
             arguments(Work(asdict(lake), writer, commits, every, locked, shared))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
        )
        for writer, (commits, every) in enumerate(writers)
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.communicate()[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("name", formats_for())
def test_no_commit_of_three_processes_is_lost(make_lake: MakeLake, name: str) -> None:
    lake = make_lake(name, lock_seconds=300.0)
    store = lake.store(None)
    store.create(REF, schema(COLUMNS))
    answers = write_at_once(lake)
    told = {token: version for answer in answers for token, version in answer["told"]}
    seconds = max(answer["seconds"] for answer in answers)
    print(f"\n{name}: {len(told)} commits in {seconds:.0f} s")  # noqa: T201

    assert [answer["failed"] for answer in answers] == [[], [], []]
    assert len(told) == COMMITS >= 1000
    history = [entry for entry in store.history(REF) if entry.record is not None]
    assert Counter(e.record.token for e in history if e.record) == Counter(told.keys())
    assert {e.record.token: e.version for e in history if e.record} == told
    rows = Counter(tuple(row.values()) for row in store.read_arrow(REF).to_pylist())
    assert rows == Counter((w, n) for w, (commits, _) in enumerate(WRITERS) for n in range(commits))


@pytest.mark.parametrize("shared", [True, False], ids=["locks of the catalog", "no lock at all"])
def test_no_commit_of_two_machines_is_lost(
    make_lake: MakeLake, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, *, shared: bool
) -> None:
    made = postgres.database("machines")
    monkeypatch.setenv("CATALOG_PASSWORD", made.password)
    address = PostgresAddress(made.jdbc, made.user, "{secret:CATALOG_PASSWORD}")
    lake = replace(make_lake("iceberg", lock_seconds=300.0), catalog=address)
    store = lake.store(None)
    store.create(REF, schema(COLUMNS))

    answers = write_at_once(lake, locked=False, shared=shared, writers=((30, 0), (30, 0)))

    told = Counter(token for answer in answers for token, _ in answer["told"])
    failed = [text for answer in answers for text in answer["failed"]]
    kept = Counter(e.record.token for e in store.history(REF) if e.record is not None)
    assert kept == told  # whatever was acknowledged is there, once
    assert store.stats(REF).rows == sum(told.values())
    if shared:
        assert failed == []
        assert sum(told.values()) == 60
    else:
        assert all(text.startswith("CommitConflictError") for text in failed)
