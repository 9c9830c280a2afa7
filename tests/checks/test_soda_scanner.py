"""What the Soda scanner says of each kind of check, and of those that cannot be evaluated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyspark.sql import SparkSession

from checks import soda_scanner
from checks.gate import judge
from checks.model import CheckResult, Outcome
from tests.checks.scans import AS_OF, scan

pytestmark = pytest.mark.spark


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
