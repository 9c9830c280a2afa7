from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from checks import soda_scanner, yaml_text
from checks.gate import judge
from checks.model import CheckResult, CheckSource, CheckSuite, Outcome
from checks.soda_scanner import SodaScanner

pytestmark = pytest.mark.spark

ROWS = """
    SELECT * FROM VALUES
      ('o1', 'secret-a', 10.00BD, TIMESTAMP'2018-10-16 12:00:00+00:00', 'delivered'),
      ('o2', 'secret-b', -1.00BD, TIMESTAMP'2018-10-17 00:00:00+00:00', 'lost'),
      ('o2', NULL,       20.00BD, TIMESTAMP'2018-10-15 00:00:00+00:00', 'shipped')
    AS t (order_id, customer, price, bought_at, status)
"""
AS_OF = {"as_of": "2018-10-17T06:00:00+00:00"}
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def session(spark: SparkSession) -> Iterator[SparkSession]:
    """A session of its own, with three rows as ``staged`` and ``result`` and none as ``empty``."""
    own = spark.newSession()
    rows = own.sql(ROWS)
    rows.createOrReplaceTempView("staged")
    rows.createOrReplaceTempView("result")
    rows.where("false").createOrReplaceTempView("empty")
    own.sql("SELECT 'o1' AS order_id").createOrReplaceTempView("silver_orders")
    yield own
    for view in ("staged", "result", "empty", "silver_orders"):
        own.catalog.dropTempView(view)


def scan(
    session: SparkSession, text: str, variables: Mapping[str, str] = AS_OF
) -> dict[str, CheckResult]:
    suite = CheckSuite("silver.orders", (CheckSource("test.yml", textwrap.dedent(text)),))
    results = SodaScanner().scan(session, suite, variables)
    assert [result.name for result in results] == [check.name for check in suite.checks]
    return {result.name: result for result in results}


def test_each_kind_of_check_passes_warns_or_fails(session: SparkSession) -> None:
    results = scan(
        session,
        """
        checks for staged:
          - row_count = ${expected}: {name: rows}
          - missing_count(order_id) = 0: {name: given, attributes: {severity: high}}
          - missing_count(customer): {name: some missing, warn: when > 0, fail: when > 5}
          - invalid_count(status) = 0: {name: known, valid values: [delivered, shipped]}
          - invalid_count(price) = 0: {name: not negative, valid min: 0}
          - failed rows: {name: condition, fail condition: price < 0}
          - failed rows: {name: query, fail query: "SELECT order_id FROM result WHERE price > 0;"}
          - failed rows: {name: few, fail query: "SELECT 1 FROM result", warn: when > 2}
          - dearest < 5: {name: metric, dearest query: SELECT MAX(price) FROM staged}
          - values in (order_id) must exist in silver_orders (order_id): {name: reference}
          - row_count same as result: {name: same}
          - missing_percent(customer) < 50: {name: percent}
          - schema:
              name: columns
              fail:
                when required column missing: [lost_column]
                when wrong column type: {order_id: int, price: "decimal(4,2)"}
        checks for result:
          - duplicate_count(order_id) = 0: {name: unique}
          - duplicate_count(order_id, price) = 0: {name: unique together}
        """,
        {"expected": "3"},
    )
    outcomes = {name: (result.outcome, result.value) for name, result in results.items()}
    assert outcomes == {
        "rows": (Outcome.PASS, 3.0),
        "given": (Outcome.PASS, 0.0),
        "some missing": (Outcome.WARN, 1.0),
        "known": (Outcome.FAIL, 1.0),
        "not negative": (Outcome.FAIL, 1.0),
        "condition": (Outcome.FAIL, 1.0),
        "query": (Outcome.FAIL, 2.0),
        "few": (Outcome.WARN, 3.0),
        "metric": (Outcome.FAIL, 20.0),
        "reference": (Outcome.FAIL, 2.0),
        "same": (Outcome.PASS, 0.0),
        "percent": (Outcome.PASS, 33.33),
        "columns": (Outcome.FAIL, 2.0),
        "unique": (Outcome.FAIL, 1.0),
        "unique together": (Outcome.PASS, 0.0),
    }
    assert results["known"].message == "invalid_count(status): 1; = 0"
    assert results["reference"].message == "rows without their reference: 2; = 0"
    assert results["columns"].message == (
        "column lost_column is missing; column order_id is string instead of int"
    )
    assert results["given"].severity.weight == 3
    assert results["rows"].definition == "row_count = ${expected}"
    assert results["rows"].seconds is not None
    assert judge(list(results.values()), threshold=None).blocked


ODD = (
    "select",
    "1e3",
    "Größe",
    "имя",
    "it's",
    'say "so"',
    "100 %",
    "a.b",
    "a (b), c",
    "_source",
    "from",
)


@pytest.mark.parametrize("name", ODD)
def test_a_column_may_have_any_name(spark: SparkSession, name: str) -> None:
    own = spark.newSession()
    rows = own.createDataFrame([("x", 1.5), (None, 2.5)], f"`{name}` string, `{name}2` double")
    for view in ("staged", "silver_other"):
        rows.createOrReplaceTempView(view)
    text = f"""
        checks for staged:
          - "missing_count(`{name}`) = 1": {{name: missing}}
          - "missing_percent(`{name}`) = 50": {{name: percent}}
          - "invalid_count(`{name}`) = 1": {{name: invalid, valid values: [other]}}
          - "duplicate_count(`{name}`) = 0": {{name: unique}}
          - "duplicate_count(`{name}`, `{name}2`) = 0": {{name: unique together}}
          - "avg(`{name}2`) = 2": {{name: average}}
          - "max_length(`{name}`) = 1": {{name: length}}
          - "values in (`{name}2`) must exist in silver_other (`{name}2`)": {{name: reference}}
    """
    results = scan(own, text.replace('say "so"', 'say \\"so\\"'))
    assert {n: r.outcome for n, r in results.items()} == dict.fromkeys(results, Outcome.PASS)
    assert results["missing"].value == 1.0


VALUES = (
    "can't",
    "\\",
    "a\\b",
    "a\\",
    "\\'",
    '"',
    "1e3",
    "010",
    "yes",
    "24:00:00",
    "~",
    "null",
    "100 %",
    "имя",
    "a\nb",
)


def test_values_are_compared_as_they_are_written(spark: SparkSession) -> None:
    own = spark.newSession()
    own.createDataFrame([(v,) for v in VALUES], "v string").createOrReplaceTempView("staged")
    checks: dict[str, dict[str, dict[str, object]]] = {}
    for number, value in enumerate(VALUES):
        regex = "^" + re.escape(value) + "$"
        checks[f"valid {number}"] = {
            f"invalid_count(v) = {len(VALUES) - 1}": {"valid values": [value]}
        }
        checks[f"missing {number}"] = {"missing_count(v) = 1": {"missing values": [value]}}
        checks[f"regex {number}"] = {
            f"invalid_count(v) = {len(VALUES) - 1}": {"valid regex": regex}
        }
        checks[f"invalid {number}"] = {"invalid_count(v) = 1": {"invalid values": [value]}}
    items = [{line: {**config, "name": n}} for n, c in checks.items() for line, config in c.items()]
    items.append({"invalid_count(v) = 0": {"name": "all", "valid values": list(VALUES)}})
    results = scan(own, yaml_text.written({"checks for staged": items}))
    assert {
        n: (r.outcome, r.message) for n, r in results.items() if r.outcome is not Outcome.PASS
    } == {}


def test_plain_scalars_of_a_file_are_those_of_sodacl(spark: SparkSession) -> None:
    own = spark.newSession()
    own.sql(
        "select * from values ('yes', 1000), ('24:00:00', 5) as t (v, n)"
    ).createOrReplaceTempView("staged")
    results = scan(own, """
        checks for staged:
          - invalid_count(v) = 0: {name: texts, valid values: [yes, 24:00:00]}
          - invalid_count(n) = 0: {name: numbers, valid max: 1e3}
          - invalid_count(n) = 1: {name: number, valid values: [1e3]}
    """)  # fmt: skip
    assert {n: r.outcome for n, r in results.items()} == dict.fromkeys(results, Outcome.PASS)


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ("row_count =: {name: bad}", "mismatched input"),
        ("missing_cont(order_id) = 0: {name: bad}", "Unsupported metric missing_cont"),
        ("missing_count(order_id) = 0: {name: bad, filtre: x}", "unsupported check configuration"),
        ("missing_count(order_id): {name: bad, warn: more than 5}", 'must be "when {condition}"'),
        ("missing_count(order_id): {name: bad}", "No threshold"),
        ("missing_count(order_id, price) = 0: {name: bad}", "More than one check attribute"),
        ("invalid_count(order_id) = 0: {name: bad}", "without valid or invalid specification"),
        ("missing_count(nope) = 0: {name: bad}", "UNRESOLVED_COLUMN.*`nope`"),
        ("duplicate_count(nope) = 0: {name: bad}", "UNRESOLVED_COLUMN.*`nope`"),
        ("values in (order_id) must exist in gone (order_id): {name: bad}", "NOT_FOUND.*`gone`"),
        ("failed rows: {name: bad, fail condition: price <}", "PARSE_SYNTAX_ERROR"),
        ("failed rows: {name: bad}", "are required"),
        ("total = 0: {name: bad, total query: SELECT price FROM staged}", "must give one row"),
        ("total = 0: {name: bad, total query: SELECT SUM(price) FROM empty}", "a null"),
        ("max(order_id) = 1: {name: bad}", "is a str, not a number"),
        ("row_count = ${expected_rows}: {name: bad}", "'expected_rows' is not given"),
        ("freshness(bought_at) < 1d: {name: bad}", "'NOW' to measure freshness"),
        ("freshness(order_id, as_of) < 1d: {name: bad}", "is not a datetime: str"),
        ("change for row_count < 5: {name: bad}", "."),
        ("anomaly score for row_count < default: {name: bad}", "."),
    ],
)
def test_a_check_that_cannot_be_evaluated_says_why_and_costs_no_other(
    session: SparkSession, check: str, why: str
) -> None:
    alone = scan(session, f"checks for staged:\n  - {check}")["bad"]
    assert alone.outcome is Outcome.NOT_EVALUATED
    assert alone.value is None
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(alone.message)

    among = scan(
        session,
        f"checks for staged:\n  - missing_count(order_id) = 0: {{name: first}}\n"
        f"  - {check}\n"
        "  - row_count = 3: {name: last}\n"
        "  - invalid_count(status) = 0: {name: failing, valid values: [delivered, shipped]}\n",
    )
    assert among["bad"] == alone
    assert among["first"].outcome is Outcome.PASS
    assert among["last"].outcome is Outcome.PASS
    assert among["failing"].outcome is Outcome.FAIL
    verdict = judge([among["first"], among["bad"], among["last"]], threshold=None)
    assert verdict.blocked
    assert len(verdict.reasons) == 1


def test_a_missing_view_leaves_the_checks_of_other_views(session: SparkSession) -> None:
    results = scan(
        session,
        """
        checks for gone:
          - row_count = 0: {name: rows}
          - schema: {name: columns, fail: {when required column missing: [a]}}
        checks for staged:
          - row_count = 3: {name: staged rows}
        """,
    )
    assert results["rows"].outcome is Outcome.NOT_EVALUATED
    assert results["columns"].outcome is Outcome.NOT_EVALUATED
    assert "`gone`" in results["columns"].message
    assert results["staged rows"].outcome is Outcome.PASS


def test_a_check_that_the_engine_drops_is_not_missing(
    session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = soda_scanner._Scan.add_sodacl_yaml_str

    def forgetful(self: soda_scanner._Scan, text: str, file_name: str) -> None:
        if "forgotten" not in text:
            add(self, text, file_name)

    monkeypatch.setattr(soda_scanner._Scan, "add_sodacl_yaml_str", forgetful)
    results = scan(
        session,
        """
        checks for staged:
          - row_count = 3: {name: kept}
          - row_count > 0: {name: forgotten}
        """,
    )
    assert results["kept"].outcome is Outcome.PASS
    assert results["forgotten"].outcome is Outcome.NOT_EVALUATED
    assert results["forgotten"].message == "Soda dropped the check"


@pytest.mark.parametrize("ending", [3, RuntimeError("row secret-a")])
def test_an_engine_error_of_no_single_check_blocks(
    session: SparkSession, monkeypatch: pytest.MonkeyPatch, ending: int | RuntimeError
) -> None:
    execute = soda_scanner._Scan.execute

    def broken(self: soda_scanner._Scan) -> int:
        execute(self)
        if isinstance(ending, RuntimeError):
            raise ending
        return ending

    monkeypatch.setattr(soda_scanner._Scan, "execute", broken)
    results = scan(session, "checks for staged:\n  - row_count = 3: {name: rows}")
    assert results["rows"].outcome is Outcome.NOT_EVALUATED
    assert "no single check" in results["rows"].message
    assert "secret" not in results["rows"].message


def test_no_rows_pass_counts_and_are_no_value_of_aggregates(session: SparkSession) -> None:
    results = scan(
        session,
        """
        checks for empty:
          - row_count = 0: {name: rows}
          - missing_count(order_id) = 0: {name: missing}
          - missing_percent(order_id) = 0: {name: missing percent}
          - invalid_count(price) = 0: {name: invalid, valid min: 0}
          - invalid_percent(price) = 0: {name: invalid percent, valid min: 0}
          - duplicate_count(order_id, price) = 0: {name: duplicates}
          - failed rows: {name: condition, fail condition: price < 0}
          - failed rows: {name: query, fail query: SELECT * FROM empty}
          - total = 0: {name: metric, total query: "SELECT COALESCE(SUM(price), 0) FROM empty"}
          - values in (order_id) must exist in silver_orders (order_id): {name: reference}
          - min(price) >= 0: {name: least}
          - avg(price) >= 0: {name: mean}
          - freshness(bought_at, as_of): {name: recent, warn: when > 1d}
          - freshness(bought_at, as_of) < 1d: {name: must be recent}
        """,
    )
    outcomes = {name: result.outcome for name, result in results.items()}
    assert {outcomes.pop("least"), outcomes.pop("mean")} == {Outcome.NOT_EVALUATED}
    assert "no rows, or only nulls" in results["least"].message
    assert outcomes.pop("recent") is Outcome.WARN
    assert outcomes.pop("must be recent") is Outcome.FAIL
    assert "no row to measure the age of" in results["must be recent"].message
    assert set(outcomes.values()) == {Outcome.PASS}


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_from_utc")
def test_freshness_is_against_the_given_time_in_utc(
    session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("as_of", "1999-01-01T00:00:00")
    text = """
        checks for result:
          - freshness(bought_at, as_of): {name: recent, warn: when > 6h, fail: when > 2d}
        """
    at_six = scan(session, text, AS_OF)["recent"]
    assert (at_six.outcome, at_six.value) == (Outcome.PASS, 6 * 3600.0)
    later = scan(session, text, {"as_of": "2018-10-17T06:00:01"})["recent"]
    assert (later.outcome, later.value) == (Outcome.WARN, 6 * 3600.0 + 1)
    assert later.message == "the newest row is 6:00:01 old; warn when > 6h, fail when > 2d"
    assert scan(session, text, {"as_of": "2018-10-20"})["recent"].outcome is Outcome.FAIL


def test_variables_never_come_from_the_environment(
    session: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("expected", "99")
    text = "checks for staged:\n  - row_count = ${expected}: {name: rows}"
    assert scan(session, text, {"expected": "3"})["rows"].outcome is Outcome.PASS
    assert scan(session, text, {})["rows"].outcome is Outcome.NOT_EVALUATED


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


def test_scans_of_several_threads_do_not_mix(spark: SparkSession) -> None:
    good = "checks for staged:\n  - row_count = {n}: {{name: rows {n}}}\n"
    bad = "  - missing_count(nope) = 0: {{name: broken {n}}}\n"

    def one(number: int) -> dict[str, CheckResult]:
        own = spark.newSession()
        own.range(number).createOrReplaceTempView("staged")
        return scan(own, (good + bad * (number % 2)).format(n=number))

    with ThreadPoolExecutor(4) as pool:
        for number, results in enumerate(pool.map(one, range(12))):
            expected = {f"rows {number}": Outcome.PASS}
            if number % 2:
                expected[f"broken {number}"] = Outcome.NOT_EVALUATED
            assert {name: result.outcome for name, result in results.items()} == expected


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
