"""Names and values in checks are taken as they are written."""

from __future__ import annotations

import re

import pytest
from pyspark.sql import SparkSession

from checks import yaml_text
from checks.model import Outcome
from tests.checks.scans import scan

pytestmark = pytest.mark.spark

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
