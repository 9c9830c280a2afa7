"""Cases on Spark: the command with its exit status, and what is said of a failure."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from flows import scratch
from flows.cli import invoke
from tests.cases.conftest import Write
from tests.inspection import shop

CASES = """\
- name: deleted sales are not seen
  given:
    silver.sales:
      - {id: a, day: 2018-01-05, amount: 1.10}
      - {id: b, day: 2018-01-05, amount: 2.20, _is_deleted: true}
  expect:
    - {day: 2018-01-05, sales: 1, amount: 1.10}
- name: columns that no row names are not compared
  given:
    silver.sales:
      - {id: a, day: 2018-01-05, amount: 1.10}
  expect:
    - {day: 2018-01-05}
- name: inputs left out are empty
  expect: []
"""


@pytest.fixture(autouse=True)
def one_session(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes the session that the tests have."""
    monkeypatch.setattr(scratch, "spark_session", lambda config: spark)


def _output(capsys: pytest.CaptureFixture[str], status: int) -> str:
    assert invoke(["test", "domain=shop"]) == status
    return capsys.readouterr().out


def test_cases_that_hold_end_with_0(
    write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(CASES)
    history = """\
- name: a shop that is renamed has two spans
  given:
    silver.sales:
      - {id: b, shop_id: s, shop_name: new, sold_at: "2018-02-01 00:00:00"}
      - {id: a, shop_id: s, shop_name: old, sold_at: "2018-01-01 00:00:00"}
  expect:
    - {shop_id: s, shop_name: old, valid_from: 2018-01-01, valid_to: 2018-02-01, is_current: false}
    - {shop_id: s, shop_name: new, valid_from: 2018-02-01, valid_to: null, is_current: true}
"""
    write(history, "silver/shop_names")
    fold = """\
- name: samples are averaged
  given:
    rows:
      - {place: p, lat: 1}
      - {place: p, lat: 2}
  expect:
    - {place: p, lat: 1.5, _sequence: 10000000002}
"""
    write(fold, "silver/places")
    out = _output(capsys, 0)
    assert "✓ gold.daily                         3 cases\n" in out
    assert "✓ silver.shop_names                  1 case\n" in out
    assert "without cases: silver.totals, gold.largest, gold.ranked" in out
    assert "5 of 5 cases passed, 0 failed, in " in out
    assert not (tmp_path / "lake").exists()


def test_differences_are_shown_with_file_and_line_and_end_with_1(
    write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write(CASES)
    shop.plant(tmp_path, "sql/gold/daily.sql", "count(*) as sales", "count(*) + 1 as sales")
    out = _output(capsys, 1)
    assert out.startswith(
        "sql/tests/gold/daily.yml:1: failed: deleted sales are not seen\n"
        "  differs     day=2018-01-05: sales expected 1, got 2\n"
    )
    assert "✗ gold.daily                         3 cases, 1 failed\n" in out
    assert "2 of 3 cases passed, 1 failed" in out


WRONG_SQL = {
    "no column": ("sum(amount)", "sum(amuont)",
        "the query failed: sql/gold/daily.sql:4: A column, variable, or function parameter with name"),
    "no SQL": ("group by day", "group day",
        "the query failed: sql/gold/daily.sql:6: Syntax error at or near 'day'"),
    "another type": ("count(*) as sales", "cast(count(*) as int) as sales",
        "gold.daily: the query's columns are not those declared: sales is int, wanted bigint"),
    "a column that is not declared": ("    day,\n", "    day, min(id) as id,\n",
        "gold.daily: the query's columns are not those declared: id string is not wanted"),
    "a failure of a row": ("count(*) as sales", "cast(raise_error('oh') as bigint) as sales",
        "the query failed: sql/gold/daily.sql"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), WRONG_SQL.values(), ids=WRONG_SQL)
def test_a_query_that_fails_fails_its_cases(
    write: Write,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    old: str,
    new: str,
    message: str,
) -> None:
    write(CASES)
    shop.plant(tmp_path, "sql/gold/daily.sql", old, new)
    out = _output(capsys, 1)
    assert f"failed: deleted sales are not seen\n  {message}" in out


def test_a_silver_query_that_fails_is_named_with_its_file(
    write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write("- {name: nothing, expect: []}\n", "silver/totals")
    shop.plant(tmp_path, "sql/silver/totals.sql", "sum(amount)", "sum(amuont)")
    out = _output(capsys, 1)
    assert "the query failed: sql/silver/totals.sql:4: A column, variable, or function" in out


def test_a_fold_with_other_columns_fails_its_case(
    write: Write, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write("- {name: nothing, expect: []}\n", "silver/places")
    shop.plant(tmp_path, "sql/silver/places.sql", "avg(lat) as lat", "max(place) as lat")
    out = _output(capsys, 1)
    assert "the columns of reduce are not those declared: lat is string, wanted double" in out


def test_a_wrong_file_ends_with_2_before_anything_runs(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("- {name: nothing, expect: [{dya: 2018-01-01}]}\n")
    assert invoke(["test", "domain=shop"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "sql/tests/gold/daily.yml:1: expect of gold.daily: there is no column 'dya'" in err


def test_a_domain_without_cases_ends_with_2(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("", "../elsewhere")
    assert invoke(["test", "domain=shop"]) == 2
    assert "domain shop has no cases" in capsys.readouterr().err
