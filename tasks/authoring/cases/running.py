"""Running cases: the engine's own query over temporary views, without a lake."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from storage.errors import ConfigurationError
from storage.schemas import arrow_schema, schema
from storage.types import TableRef
from tasks.aggregate.query import query, refuse_other_columns
from tasks.authoring.cases import tables
from tasks.authoring.cases.difference import differences
from tasks.authoring.cases.reading import Case, Row
from tasks.authoring.cases.tables import Columns
from tasks.authoring.spark_errors import explained
from tasks.context import live
from tasks.domain.schemas import key_of, spec_of
from tasks.domain.spec import DomainSpec, sql_files
from tasks.domain.yaml_lines import shown
from tasks.rows import reducing


@dataclass(frozen=True)
class Outcome:
    """What became of a case: it passed where nothing differs."""

    case: Case
    differences: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the result was the rows expected."""
        return not self.differences


class Runner:
    """Runs the cases of one domain on a session of its own."""

    def __init__(self, session: SparkSession, domain: DomainSpec) -> None:
        self._domain = domain
        self._session = session.newSession()
        self._session.conf.set("spark.sql.shuffle.partitions", "1")  # a handful of rows
        self._empty: dict[tuple[TableRef, str], DataFrame] = {}

    def run(self, case: Case) -> Outcome:
        """Give the case's rows to the table's query and compare its result."""
        began = time.monotonic()
        try:
            self._give(case)
            found = tuple(self._compared(case))
        except ConfigurationError as error:
            found = (error.message, error.advice)
        except PySparkException as error:
            says = explained(error)
            line = f":{says.line}" if says.line else ""
            found = (f"the query failed: {self._sql_file(case.table)}{line}: {says.reason}",)
        return Outcome(case, found, time.monotonic() - began)

    def _give(self, case: Case) -> None:
        for label, columns in tables.inputs(self._domain, case.table).items():
            rows = case.given.get(label, ())
            frame = self._frame(rows, columns) if rows else self._nothing(case, label, columns)
            if label == reducing.ROWS:
                frame.createOrReplaceTempView(label)
            else:
                ref = self._domain.ref(label)
                live(self._domain, ref, frame).createOrReplaceTempView(ref.view)

    def _nothing(self, case: Case, label: str, columns: Columns) -> DataFrame:
        place = (case.table, label)
        if place not in self._empty:
            self._empty[place] = self._frame((), columns)
        return self._empty[place]

    def _frame(self, rows: Sequence[Row], columns: Columns) -> DataFrame:
        wanted = schema(columns.items())
        given = pa.Table.from_pylist(list(rows), schema=arrow_schema(wanted))
        return self._session.createDataFrame(given, schema=wanted)

    def _compared(self, case: Case) -> list[str]:
        if tables.folds(self._domain, case.table):
            rows = reducing.reduced(self._session.sql, self._domain, case.table)
        else:
            rows = query(self._session.sql, self._domain, case.table)
            refuse_other_columns(self._domain, case.table, rows.schema)
        key = key_of(self._domain, case.table)
        got = rows.select(*dict.fromkeys([*key, *case.compared])).toArrow().to_pylist()
        return differences(case.expect, got, key=key, compared=case.compared)

    def _sql_file(self, ref: TableRef) -> str:
        named = sql_files(spec_of(self._domain, ref))
        root = tables.folder(self._domain).parent
        return shown(root / named[0]) if named else ref.label
