"""Soda, imported when the first suite is scanned: whoever reads metadata only does not wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from checks.model import CheckResult, CheckSuite

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class DeferredScanner:
    """A `Scanner` that is Soda's from its first scan on."""

    def scan(
        self, session: SparkSession, suite: CheckSuite, variables: Mapping[str, str]
    ) -> tuple[CheckResult, ...]:
        """See `Scanner.scan`."""
        from checks.soda_scanner import SodaScanner  # noqa: PLC0415 - takes a second

        return SodaScanner().scan(session, suite, variables)
