"""A scan tells no value of a row, fetches no sample, and leaves the process alone."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from checks import soda_scanner
from checks.model import Outcome
from tests.checks.scans import scan

pytestmark = pytest.mark.spark

REPOSITORY = Path(__file__).parents[2]


def test_no_row_value_leaves(
    session: SparkSession, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("py4j").setLevel(logging.INFO)
    collected: list[str] = []
    results = scan(
        session,
        """
        checks for staged:
          - invalid_count(customer) = 0: {name: values, valid values: [x]}
          - invalid_count(customer) < 1: {name: limit, valid values: [x], samples limit: 50}
          - failed rows: {name: condition, fail condition: customer IS NOT NULL}
          - failed rows: {name: query, fail query: SELECT * FROM staged}
          - failed rows: {name: columns, fail condition: price > 0, samples columns: [customer]}
          - values in (customer) must exist in silver_orders (order_id): {name: reference}
          - duplicate_count(order_id) = 0: {name: duplicates}
          - max(customer) = 1: {name: text}
          - total = 0: {name: unreadable, total query: SELECT MAX(customer) FROM staged}
          - missing_count(nope) = 0: {name: unknown}
        """,
    )
    for result in results.values():
        assert result.outcome in {Outcome.FAIL, Outcome.NOT_EVALUATED}, result
        collected += [str(result)]
    collected += [record.getMessage() for record in caplog.records]
    printed = capfd.readouterr()
    collected += [printed.out, printed.err]
    assert not [text for text in collected if "secret" in text]
    assert printed.out == ""
    # PySpark's own report of an exception holds the plan, and with it rows of a local view.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        assert not logging.getLogger(name).isEnabledFor(logging.ERROR)
    assert not [record for record in caplog.records if record.name.startswith("soda")]
    warned = [record for record in caplog.records if record.name == "checks.soda_scanner"]
    assert {record.levelno for record in warned} == {logging.WARNING}
    assert len(warned) == 3


def test_a_run_time_error_is_named_without_its_value(session: SparkSession) -> None:
    session.sparkContext.setLogLevel("OFF")  # the executor's own log holds the value
    results = scan(
        session,
        """
        checks for staged:
          - total = 0: {name: cast, total query: SELECT SUM(CAST(customer AS INT)) FROM staged}
          - row_count = 3: {name: rows}
        """,
    )
    session.sparkContext.setLogLevel("ERROR")
    assert results["cast"].outcome is Outcome.NOT_EVALUATED
    assert results["cast"].message.startswith("CAST_INVALID_INPUT (text withheld")
    assert results["rows"].outcome is Outcome.PASS


def test_samples_are_never_fetched(session: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[int] = []
    fetch = soda_scanner._fetched

    def counting(found: DataFrame) -> tuple[list[object], ...]:
        rows = fetch(found)
        fetched.extend(map(len, rows))
        return rows

    monkeypatch.setattr(soda_scanner, "_fetched", counting)
    scan(
        session,
        """
        checks for staged:
          - invalid_count(customer) = 0: {name: values, valid values: [x]}
          - failed rows: {name: condition, fail condition: customer IS NOT NULL}
          - failed rows: {name: query, fail query: SELECT * FROM staged}
          - duplicate_count(order_id) = 0: {name: duplicates}
        """,
    )
    # One row for both aggregates, one for the duplicates, one for the counted query.
    assert sorted(fetched) == [1, 1, 2]


def test_importing_and_scanning_leave_the_process_alone(tmp_path: Path) -> None:
    """No telemetry, no file in the home, no .env over the environment, nothing printed."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    (work / ".env").write_text("LAKE_SECRET=from-dotenv\n")
    program = """
        import os, socket, sys, threading

        def refuse(*arguments):
            raise AssertionError(f"connection attempt: {arguments}")

        socket.socket.connect = refuse
        socket.getaddrinfo = refuse
        from checks import soda_scanner
        scanner = soda_scanner.SodaScanner()
        scan = soda_scanner._Scan(None, {})
        scan.execute()
        from opentelemetry import trace
        from soda.telemetry.soda_telemetry import SodaTelemetry
        assert SodaTelemetry.get_instance()._SodaTelemetry__send is False
        assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"
        assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
        assert os.environ["LAKE_SECRET"] == "from-the-environment"
    """
    environment = {**os.environ, "HOME": str(home), "LAKE_SECRET": "from-the-environment"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(home.iterdir()) == []
    assert [entry.name for entry in work.iterdir()] == [".env"]


def test_telemetry_that_was_on_before_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".soda").mkdir()
    settings = tmp_path / ".soda" / "config.yml"
    settings.write_text("send_anonymous_usage_stats: true\nuser_cookie_id: x\n")
    program = """
        from soda.common.config_helper import ConfigHelper
        ConfigHelper.get_instance()
        from checks.soda_scanner import SodaScanner
        SodaScanner()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "import checks.soda_scanner first" in done.stderr
