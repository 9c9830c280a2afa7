"""What Spark itself says that it read: rows and files of each table scan of a piece of work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pyspark.sql import SparkSession

from storage.formats.parquet.log import DATA

ROWS = "number of output rows"
FILES = ("number of files read", "number of result data files", "number of scanned data files")
DRAIN_MS = 10_000
"""How long to wait until Spark has told its own listeners everything."""


@dataclass(frozen=True)
class Scan:
    """One scan of a table in an executed plan.

    Attributes:
        what: Spark's description of the scan, which names the table or its folder.
        rows: Rows that came out of the scan, before any filter of the query.
        files: Data files that were read.
    """

    what: str
    rows: int
    files: int


@contextmanager
def scans(session: SparkSession) -> Iterator[list[Scan]]:
    """The scans of whatever this thread runs inside; the list is filled at the end."""
    context, tag = session.sparkContext, f"scans-{uuid4().hex}"
    found: list[Scan] = []
    before = _newest(session)
    context.addJobTag(tag)
    try:
        yield found
    finally:
        context.removeJobTag(tag)
        found += _scans(session, tag, before)


def scans_of(found: list[Scan], table: str) -> list[Scan]:
    """The scans of one table, named as it stands in a path: `database/table`."""
    name, dotted = re.escape(table), re.escape(table.replace("/", "."))
    ends = rf"(?:/{name}|\b{dotted})(?![\w/])|/{name}/{DATA}/"  # Parquet is read file by file
    return [scan for scan in found if re.search(ends, scan.what)]


def rows_read(found: list[Scan], tables: list[str]) -> int:
    """Rows read of the tables, each named as it stands in a path: `database/table`."""
    return sum(scan.rows for table in tables for scan in scans_of(found, table))


def _scans(session: SparkSession, tag: str, before: int) -> list[Scan]:
    spark: Any = session.sparkContext._jsc
    spark.sc().listenerBus().waitUntilEmpty(DRAIN_MS)
    jobs = set(spark.sc().statusTracker().getJobIdsForTag(tag))
    sql = _sql_status(session)
    found: list[Scan] = []
    for execution in _newer(sql, before):
        if {int(job) for job in _listed(execution.jobs().keys().toSeq())} & jobs:
            found = _scans_of(sql, int(execution.executionId())) + found
    return found


def _sql_status(session: SparkSession) -> Any:
    return session._jsparkSession.sharedState().statusStore()


def _newest(session: SparkSession) -> int:
    """Id of the newest execution of the process, -1 where there is none."""
    executions = _sql_status(session).executionsList()
    return int(executions.last().executionId()) if executions.size() else -1


def _newer(sql: Any, before: int) -> Iterator[Any]:
    """Executions with an id above `before`, newest first; each step is a call into the JVM."""
    executions = sql.executionsList()
    for place in reversed(range(executions.size())):
        execution = executions.apply(place)
        if int(execution.executionId()) <= before:
            return
        yield execution


def _scans_of(sql: Any, execution: int) -> list[Scan]:
    values = sql.executionMetrics(execution)
    found = []
    for node in _listed(sql.planGraph(execution).allNodes()):
        if "Scan" not in node.name():
            continue
        told = {m.name(): values.get(m.accumulatorId()) for m in _listed(node.metrics())}
        numbers = {name: _number(value.get()) for name, value in told.items() if value.isDefined()}
        files = next((numbers[name] for name in FILES if name in numbers), 0)
        found.append(Scan(f"{node.name()} {node.desc()}", numbers.get(ROWS, 0), files))
    return found


def _listed(sequence: Any) -> list[Any]:
    return [sequence.apply(i) for i in range(sequence.size())]


def _number(text: str) -> int:
    """Spark's own text of a sum metric: `1,234`, where several tasks took part with more lines."""
    first = text.strip().splitlines()[-1].split("(")[0]
    digits = "".join(c for c in first if c.isdigit())
    return int(digits or 0)
