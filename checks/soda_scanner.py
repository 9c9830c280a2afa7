"""Evaluating checks with Soda Core 3, the only module that knows it.

Soda drops what it cannot parse, loses all aggregates of a view to one unknown column, and reports
a metric of no rows as nothing at all, mostly without an error. Here every check is handed over as a
document of its own and looked up again by that document, so that each declared check has a result.

What Soda does to its process, and what is done about it before its first import or use:

- telemetry is on unless a file says otherwise: it is given such a file (``soda.yml``);
- it loads a ``.env`` over the environment: switched off;
- ``${name}`` and ``freshness(column, name)`` prefer environment variables: both see only the given
  variables;
- all scans share one log, which decides their exit codes: each scan gets its own;
- its logs and samples hold row values: the logger is closed, no sample is fetched, and messages are
  taken from an exception's text only where that cannot hold any.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.logger import PySparkLogger
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import TimestampType
from soda.common import env_helper
from soda.common.config_helper import ConfigHelper

# Before soda.scan is imported: that reads the configuration and starts the telemetry.
_SODA_CONFIG = ConfigHelper.get_instance(str(Path(__file__).with_name("soda.yml")))
_SODA_LOGGER = logging.getLogger("soda")
_SODA_LOGGER.propagate = False
_SODA_LOGGER.setLevel(logging.CRITICAL + 1)
_SODA_LOGGER.addHandler(logging.NullHandler())
# PySpark prints each exception with its plan, rows included, besides raising it.
for _name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
    PySparkLogger.getLogger(_name).setLevel(logging.CRITICAL + 1)

from soda.common.log import LogLevel  # noqa: E402
from soda.common.logs import Logs  # noqa: E402
from soda.data_sources.spark_df_connection import SparkDfConnection  # noqa: E402
from soda.data_sources.spark_df_cursor import SparkDfCursor  # noqa: E402
from soda.data_sources.spark_df_data_source import SparkDfDataSource  # noqa: E402
from soda.sampler.sampler import Sampler  # noqa: E402
from soda.scan import Scan  # noqa: E402

from checks import yaml_text  # noqa: E402
from checks.model import CheckDefinitionError, CheckResult, CheckSuite, Outcome  # noqa: E402
from checks.names import named  # noqa: E402
from checks.soda_results import (  # noqa: E402
    Evaluated,
    MetricQueryError,
    Trouble,
    evaluated,
    not_evaluated,
    parse_problem,
)
from checks.sodacl import DeclaredCheck, refuse_unsafe_values  # noqa: E402

__all__ = ["SodaScanner"]

_log = logging.getLogger(__name__)
# Soda's parser and the constructor of a scan work on process-wide state; its execution does not,
# once the scan has a log of its own.
_building = threading.Lock()
_ENGINE_ERROR = 3
_SOURCE = "views"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _load_no_dotenv(*_args: object, **_kwargs: object) -> bool:
    return False


env_helper.load_dotenv = _load_no_dotenv


class SodaScanner:
    """Evaluates checks with Soda Core on the temporary views of a Spark session.

    Scans of several threads run side by side. Each needs a session of its own wherever the same view
    names stand for other rows.
    """

    def __init__(self) -> None:
        if _SODA_CONFIG.send_anonymous_usage_stats:
            message = (
                "Soda was imported before checks.soda_scanner and may send telemetry; import "
                "checks.soda_scanner first"
            )
            raise RuntimeError(message)

    def scan(
        self, session: SparkSession, suite: CheckSuite, variables: Mapping[str, str]
    ) -> tuple[CheckResult, ...]:
        """Evaluate every check of the suite; see `checks.scanner.Scanner`.

        Checks that Soda loses together are evaluated again one at a time, so that only the broken
        one among them stays without a result.

        Raises:
            ValueError: A variable's value could change the SQL it is pasted into.
        """
        refuse_unsafe_values(variables)
        found = _evaluate(session, suite.checks, variables)
        lost = [check for check, one in zip(suite.checks, found, strict=True) if one.lost]
        if lost and len(suite.checks) > 1:
            again = {check.name: _evaluate(session, [check], variables)[0] for check in lost}
            found = [again.get(one.result.name, one) for one in found]
        results = tuple(one.result for one in found)
        for result in results:
            if result.outcome is Outcome.NOT_EVALUATED:
                _log.warning("%s: %r not evaluated: %s", suite.table, result.name, result.message)
        return results


class _NoSamples(Sampler):  # type: ignore[misc]
    """Takes no sample: the rows of a failing check stay in Spark."""

    def store_sample(self, sample_context: object) -> None:
        return None


class _Cursor(SparkDfCursor):  # type: ignore[misc]
    """Runs each query once, by position, with instants that say they are UTC.

    Soda's own runs a query several times to page through it, and hands on instants in the time zone
    of the process, which the freshness check then takes for UTC.
    """

    df: DataFrame
    rowcount: int
    cursor_index: int

    def fetchall(self) -> tuple[list[object], ...]:
        return _fetched(self.df)

    def fetchmany(self, size: int) -> tuple[list[object], ...]:
        if self.rowcount < 0:
            self._rows = self.fetchall()
            self.rowcount = len(self._rows)
        start, self.cursor_index = self.cursor_index, self.cursor_index + size
        return self._rows[start : start + size]

    def fetchone(self) -> list[object] | None:
        rows = _fetched(self.df.limit(2))
        if len(rows) > 1:
            message = "the query of a metric must give one row"
            raise MetricQueryError(message)
        return rows[0] if rows else None


def _fetched(found: DataFrame) -> tuple[list[object], ...]:
    """The rows, with instants in UTC; PySpark's are local time, and the first day of year 1 is none there."""
    dated = [isinstance(field.dataType, TimestampType) for field in found.schema.fields]
    if any(dated):
        found = found.toDF(*(f"c{place}" for place in range(len(dated))))
        found = found.select(
            [
                F.unix_micros(n) if at else F.col(n)
                for n, at in zip(found.columns, dated, strict=True)
            ]
        )
    return tuple(
        [_instant(v) if at and v is not None else v for v, at in zip(row, dated, strict=True)]
        for row in found.collect()
    )


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


class _Connection(SparkDfConnection):  # type: ignore[misc]
    def cursor(self) -> _Cursor:
        return _Cursor(self.spark_session)


class _Views(SparkDfDataSource):  # type: ignore[misc]
    """The temporary views of one session, with texts that Spark reads as they are written."""

    def connect(self) -> None:
        self.connection = _Connection(self.spark_session)

    def escape_string(self, value: str) -> str:
        return value.replace("\\", "\\\\").replace("'", "\\'")

    def escape_regex(self, value: str) -> str:
        return value  # escaped where it becomes a literal

    def expr_regexp_like(self, expr: str, regex_pattern: str) -> str:
        return f"{expr} rlike({self.literal_string(regex_pattern)})"


class _Scan(Scan):  # type: ignore[misc]
    """A scan that shares nothing with others; build it under the lock."""

    def __init__(self, session: SparkSession, variables: Mapping[str, str]) -> None:
        super().__init__()
        logs = object.__new__(Logs)
        logs._initialize()
        self._logs = logs
        self._data_source_manager.logs = logs
        self._variables = dict(variables)
        self._configuration.samples_limit = 0
        self.sampler = _NoSamples()
        self.set_data_source_name(_SOURCE)
        source = _Views(logs, _SOURCE, {"connection_type": "spark_df", "spark_session": session})
        source.connect()
        self._data_source_manager.data_sources[_SOURCE] = source

    def get_variable(self, variable_name: str, default_value: str | None = None) -> str | None:
        return self._variables.get(variable_name, default_value)

    def jinja_resolve(self, definition: Any, *_args: object, **_kwargs: object) -> Any:
        return definition  # resolved before Soda sees it

    def problems_since(self, start: int) -> list[Any]:
        """Errors and warnings logged after the first ``start`` entries."""
        return [
            entry
            for entry in self._logs.logs[start:]
            if entry.level in (LogLevel.ERROR, LogLevel.WARNING)
        ]


def _evaluate(
    session: SparkSession, declared: Sequence[DeclaredCheck], variables: Mapping[str, str]
) -> list[Evaluated]:
    """Evaluate checks in one scan, results in the order of declaration."""
    with _building:
        scan = _Scan(session, variables)
        malformed = {
            number: problem
            for number, check in enumerate(declared)
            if (problem := _added(scan, number, check, variables))
        }
    parsed = len(scan._logs.logs)
    failure: BaseException | None = None
    try:
        exit_code = scan.execute()
    except Exception as error:  # noqa: BLE001 - whatever Soda raises, the gate has to say so
        failure, exit_code = error, _ENGINE_ERROR
    trouble = Trouble(scan.problems_since(parsed), failure, alone=len(declared) == 1)
    found: dict[str, list[Any]] = {}
    for soda_check in scan._checks:
        found.setdefault(soda_check.check_cfg.location.file_path, []).append(soda_check)
    results = [
        not_evaluated(check, malformed[number])
        if number in malformed
        else evaluated(check, found.get(f"{_document_name(number)}.yml", []), trouble)
        for number, check in enumerate(declared)
    ]
    if exit_code == _ENGINE_ERROR and not any(_is_missing(one) for one in results):
        reason = "Soda ended with an error that belongs to no single check"
        return [not_evaluated(check, reason, lost=True) for check in declared]
    return results


def _is_missing(one: Evaluated) -> bool:
    return one.result.outcome is Outcome.NOT_EVALUATED


def _added(
    scan: _Scan, number: int, check: DeclaredCheck, variables: Mapping[str, str]
) -> str | None:
    """Hand one check to Soda; returns what is wrong with it, or None."""
    before = len(scan._logs.logs)
    try:
        document = _document(check, variables)
    except CheckDefinitionError as error:
        return str(error)
    scan.add_sodacl_yaml_str(document, file_name=_document_name(number))
    return "; ".join(parse_problem(entry) for entry in scan.problems_since(before)) or None


def _document_name(number: int) -> str:
    return f"declared-check-{number:04d}"


def _document(check: DeclaredCheck, variables: Mapping[str, str]) -> str:
    """One check as a SodaCL document of its own.

    Raises:
        CheckDefinitionError: A variable is not given.
    """
    line, config = check.resolved(variables)
    if line.startswith("freshness"):
        name = next(iter(named(line).others), "NOW")
        if name not in variables:
            message = f"the time {name!r} to measure freshness against is not given as a variable"
            raise CheckDefinitionError(message)
    nested = {"name": check.name, **config}
    if line == "failed rows" and isinstance(query := nested.pop("fail query", None), str):
        # Soda counts such rows by fetching them a hundred at a time. Counting is Spark's.
        line = "failed_row_count" if {"warn", "fail"} & nested.keys() else "failed_row_count = 0"
        nested["failed_row_count query"] = (
            f"SELECT COUNT(*) FROM (\n{query.rstrip().rstrip(';')}\n)"
        )
    return yaml_text.written({f"checks for {check.dataset}": [{named(line).quoted: nested}]})
