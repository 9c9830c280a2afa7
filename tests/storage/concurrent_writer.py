"""One of the processes of `test_concurrent_writers.py`: commits row after row and tells what it was told."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from pyspark.sql import SparkSession

from storage.locks import Locks
from storage.plans import upsert_plan
from storage.postgres import PostgresAddress, SharedLocks
from storage.registry import Lake
from storage.spark.jars import jar_paths
from storage.spark.java import find_java
from storage.spark.session import SparkSettings, jvm_pid, start_session
from storage.types import CommitRecord, TableRef

REF = TableRef("shop", "silver", "orders")
COLUMNS = (("writer", "bigint"), ("number", "bigint"))
PLAN = upsert_plan(["writer", "number"], [name for name, _ in COLUMNS], ["number"])
SMALL = Path(__file__).parents[2] / "conf" / "spark" / "small.yaml"


@dataclass(frozen=True)
class Work:
    """What one process has to do: rows appended through Arrow, and every so often one merged by Spark."""

    lake: dict[str, Any]
    writer: int
    commits: int
    merge_every: int
    locked: bool
    """Whether processes of one machine wait for each other."""
    shared: bool = True
    """Whether machines do."""


def row_of(work: Work, number: int) -> pa.Table:
    return pa.table({"writer": [work.writer], "number": [number]})


def main(work: Work) -> None:
    if not work.locked:
        Locks.hold = lambda *_, **__: contextlib.nullcontext()  # type: ignore[method-assign, assignment]
    if not work.shared:
        SharedLocks._acquire = lambda *_: None  # type: ignore[method-assign]
    address = work.lake["catalog"]
    lake = Lake(
        **work.lake | {
            "root": Path(work.lake["root"]),
            "catalog": PostgresAddress(**address) if address else None,
        }
    )  # fmt: skip
    session = _spark(lake.root / f"_spark-{work.writer}") if work.merge_every else None
    store = lake.store(session, jvm_pid(session) if session else None)
    print("ready", flush=True)  # noqa: T201 - the answer to the test
    sys.stdin.readline()
    told: list[tuple[str, str]] = []
    failed: list[str] = []
    began = time.monotonic()
    for number in range(work.commits):
        record = CommitRecord(f"run-{work.writer}", f"{work.writer}/{number}")
        row = row_of(work, number)
        try:
            if work.merge_every and number % work.merge_every == 0:
                frame = store.session.sql(f"SELECT {work.writer}L writer, {number}L number")
                commit = store.merge(REF, frame, PLAN, record)
            else:
                commit = store.append_arrow(REF, row, record)
            told.append((record.token, str(commit.version)))
        except Exception as error:  # noqa: BLE001 - without the lock anything may happen
            failed.append(f"{type(error).__name__}: {error}"[:300])
    seconds = time.monotonic() - began
    print(json.dumps({"told": told, "failed": failed, "seconds": seconds}), flush=True)  # noqa: T201


def _spark(folder: Path) -> SparkSession:
    small = yaml.safe_load(SMALL.read_text("utf-8"))
    settings = SparkSettings(
        master="local[1]",
        driver_memory="1g",
        shuffle_partitions=1,
        local_dir=str(folder / "local"),
        log_file=str(folder / "spark.log"),
        conf={"spark.sql.warehouse.dir": str(folder / "warehouse"), **small["conf"]},
        java_options=small["java_options"],
    )
    return start_session(settings, java_home=find_java().home, jars=jar_paths(), app_name="writer")


def arguments(work: Work) -> str:
    """The work as one argument of the process."""
    return json.dumps(asdict(work), default=str)


if __name__ == "__main__":
    main(Work(**json.loads(sys.argv[1])))
