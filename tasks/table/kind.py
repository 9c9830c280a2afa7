"""A kind of table: how it takes each step of a run. `tasks/run_table.py` chooses the kind of each table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Protocol

from pyspark.sql import DataFrame

from checks.model import CheckResult, CheckSource
from storage.types import Commit
from tasks.context import Attempt, Context
from tasks.domain.spec import DomainSpec
from tasks.notes import BackfillPart


class Audited(NamedTuple):
    """What the checks of a domain see of an attempt.

    Attributes:
        staged: The rows to be published, without those that are only marked as deleted.
        result: The table as it will be; for a bronze table the staged records.
    """

    staged: DataFrame
    result: DataFrame


class TableKind(Protocol):
    """One table in a run, whatever its kind.

    Attributes:
        follows_inputs: Whether it has to take in what is new in its inputs before a part of it is restated.
    """

    follows_inputs: ClassVar[bool]

    def create(self, context: Context) -> None:
        """Create the table, and those beside it, where they do not exist.

        Raises:
            TableExistsError: It exists with other columns than the domain declares.
        """

    def has_news(self, context: Context) -> bool:
        """Whether an existing table has anything to take in, from metadata alone."""

    def waits_for(self, context: Context) -> str:
        """What a table for which nothing is new waits for; empty where its inputs bring what is new."""
        del context
        return ""

    def stage(self, context: Context) -> Attempt | None:
        """Write the rows to publish to the staging folder; None when nothing is new."""

    def undivided(self, domain: DomainSpec) -> str:
        """Why it cannot be restated for a span of time; empty where it can."""

    def restage(self, context: Context, part: BackfillPart) -> Attempt:
        """Restate one partition: write what it consists of now to the staging folder.

        Raises:
            ConfigurationError: The table was never loaded.
        """

    def prepare_restaging(self, context: Context) -> None:
        """Complete what a killed process left, before partitions are staged side by side."""
        del context

    def own_checks(self, context: Context, attempt: Attempt) -> Sequence[CheckResult]:
        """Checks that the platform makes of the attempt, whatever the domain declares."""
        del context, attempt
        return ()

    def audited(self, context: Context, attempt: Attempt) -> Audited:
        """What the checks of the domain see."""

    def result_checks(
        self, context: Context, attempt: Attempt, result: DataFrame
    ) -> tuple[Sequence[CheckResult], Sequence[CheckSource]]:
        """Checks of the platform on the table as it will be: results, and some for the scanner."""
        del context, attempt, result
        return (), ()

    def expected_rows(self, attempt: Attempt) -> int:
        """Rows counted while staging, which the checks may ask for."""

    def withdrawn(self, context: Context, attempt: Attempt) -> Sequence[str]:
        """Batches of the attempt that were rejected after it had been staged."""

    def publish(self, context: Context, attempt: Attempt) -> Commit:
        """Commit exactly the staged rows, with what the attempt notes in the commit record.

        Raises:
            CommitConflictError: A table that is written is not what it was when the rows were staged.
        """
