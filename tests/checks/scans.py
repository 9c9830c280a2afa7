"""Scans of checks that a test writes down, over rows of its session."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from pyspark.sql import SparkSession

from checks.model import CheckResult, CheckSource, CheckSuite
from checks.soda_scanner import SodaScanner

AS_OF = {"as_of": "2018-10-17T06:00:00+00:00"}


def scan(
    session: SparkSession, text: str, variables: Mapping[str, str] = AS_OF
) -> dict[str, CheckResult]:
    suite = CheckSuite("silver.orders", (CheckSource("test.yml", textwrap.dedent(text)),))
    results = SodaScanner().scan(session, suite, variables)
    assert [result.name for result in results] == [check.name for check in suite.checks]
    return {result.name: result for result in results}
