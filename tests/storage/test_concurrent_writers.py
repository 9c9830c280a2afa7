"""Three processes write one table at once, over a thousand commits in all: none is lost."""

from __future__ import annotations

from pathlib import Path

from storage.types import TableRef

REPOSITORY = Path(__file__).parents[2]
REF = TableRef("shop", "silver", "orders")
COLUMNS = [("writer", "bigint"), ("number", "bigint")]
WRITERS = {"one": (480, 0), "two": (480, 0), "three": (100, 40)}
"""Commits of each process: appended through Arrow, and merged through Spark."""
SECONDS = 800
UNLOCKED = "LAKEHOUSE_TEST_UNLOCKED"
"""Set in the environment, the writers take no lock: the test then has to fail."""

PROGRAM = """
import contextlib, json, os, sys
from pathlib import Path
import pyarrow as pa
from storage.locks import Locks
from storage.plans import upsert_plan
from storage.registry import Lake
from storage.types import CommitRecord
from tests.conftest import BUSY_TIMEOUT_MS, format_properties
from tests.storage.test_concurrent_writers import REF, UNLOCKED, spark_session

format, root, name, appends, merges = *sys.argv[1:4], *map(int, sys.argv[4:])
if os.environ.get(UNLOCKED):
    Locks.hold = lambda *_, **__: contextlib.nullcontext()
lake = Lake(Path(root), format, format_properties(format), 600.0, BUSY_TIMEOUT_MS)
store = lake.store(spark_session(Path(root) / name) if merges else None)
print("ready", flush=True)
sys.stdin.readline()
told, failed = [], []
every = appends // merges if merges else appends + merges + 1
number = {name!r: 0}[name] if False else 0
for turn in range(appends + merges):
    record = CommitRecord(name, f"{name}/{turn}")
    writer = sum(map(ord, name))
    try:
        if merges and turn % (every + 1) == every:
            rows = store.session.sql(f"SELECT {writer}L AS writer, {turn}L AS number")
            plan = upsert_plan(["writer", "number"], ["writer", "number"], "number")
            commit = store.merge(REF, rows, plan, record)
        else:
            commit = store.append_arrow(
                REF, pa.table({"writer": [writer], "number": [turn]}), record
            )
        assert not commit.repeated
        told.append((record.token, str(commit.version)))
    except Exception as error:
        failed.append(f"{record.token}: {type(error).__name__}")
print(json.dumps({"told": told, "failed": failed}), flush=True)
"""
