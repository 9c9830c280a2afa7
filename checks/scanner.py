"""The protocol of an engine that evaluates checks; one module an engine implements it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pyspark.sql import SparkSession

from checks.model import CheckResult, CheckSuite


class Scanner(Protocol):
    """Evaluates a suite on the temporary views of a session. May be called from several threads."""

    def scan(
        self, session: SparkSession, suite: CheckSuite, variables: Mapping[str, str]
    ) -> tuple[CheckResult, ...]:
        """Evaluate every check of the suite.

        Args:
            session: Holds the views that the checks name (``staged``, ``result``, ...).
            suite: The declared checks.
            variables: Values of ``${name}`` in the checks.

        Returns:
            One result for each declared check, in the order of declaration. A check that cannot
            be evaluated is there as such; none is ever missing.
        """
        ...
