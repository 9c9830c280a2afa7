"""A table that is ingested: what a source delivers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from checks.model import CheckResult, Outcome
from storage.errors import ConfigurationError, InputError
from storage.types import Commit, TableRef
from tasks.context import Attempt, Context
from tasks.domain.spec import DomainSpec
from tasks.ingest import bronze, drift
from tasks.ingest.records import staged_rows
from tasks.notes import BackfillPart
from tasks.records import ledger
from tasks.table.checks import own_check
from tasks.table.columns import create_bronze
from tasks.table.kind import Audited, TableKind


@dataclass(frozen=True)
class Ingested(TableKind):
    """A bronze table, as a kind of table."""

    ref: TableRef
    follows_inputs: ClassVar[bool] = False

    def create(self, context: Context) -> None:
        """Create it, and add the columns that the domain newly declares: bronze keeps what came."""
        create_bronze(context, self.ref)

    def has_news(self, context: Context) -> bool:
        """Whether anything is offered that the ledger does not hold."""
        if not ledger.complete(context.store, self.ref):
            return True  # the ledger is rebuilt from rows, which needs Spark
        try:
            news = bronze.news(context, self.ref)
        except InputError:
            return True  # the table's own step says so, and the others go on
        required = context.domain.bronze[self.ref.name].required
        return news or (required and bronze.never_delivered(context, self.ref))

    def waits_for(self, context: Context) -> str:
        """What a source without any delivery waits for."""
        return (
            bronze.missing(context, self.ref) if bronze.never_delivered(context, self.ref) else ""
        )

    def stage(self, context: Context) -> Attempt | None:
        """Read what is new record by record."""
        return bronze.stage(context, self.ref)

    def undivided(self, domain: DomainSpec) -> str:
        """Deliveries are kept as they came."""
        del domain
        return "it is append-only and never restated"

    def restage(self, context: Context, part: BackfillPart) -> Attempt:
        """Refused: deliveries are kept as they came."""
        del context, part
        raise ConfigurationError(
            f"tables: {self.ref.label} is append-only and never restated",
            advice="Take a file in again: lakehouse ingest --again FILE",
        )

    def own_checks(self, context: Context, attempt: Attempt) -> Sequence[CheckResult]:
        """Whether every delivered file was read."""
        del context
        return [files_readable(attempt)]

    def audited(self, context: Context, attempt: Attempt) -> Audited:
        """The staged records, for both: they are not worth a copy in memory."""
        rows = staged_rows(context, attempt)
        return Audited(rows, rows)

    def expected_rows(self, attempt: Attempt) -> int:
        """Rows of the deliveries; records that a reader left out are in none."""
        return attempt.rows.get("published", 0)

    def withdrawn(self, context: Context, attempt: Attempt) -> Sequence[str]:
        """Rejected deliveries that have to stay out."""
        return bronze.withdrawn(context, attempt)

    def publish(self, context: Context, attempt: Attempt) -> Commit:
        """Append the records, and the columns that they bring."""
        checked = drift.apply(context, attempt)
        rows = staged_rows(context, attempt)
        return context.store.append(self.ref, rows, context.record(attempt), expected=checked)


def files_readable(attempt: Attempt) -> CheckResult:
    """Whether every delivery was read and there is no reason against taking it in."""
    if not attempt.problems:
        return own_check("delivered files are complete", Outcome.PASS, "every file was read")
    text = " | ".join(problem.message for problem in attempt.problems)
    return own_check(
        "delivered files are complete", Outcome.FAIL, text, value=float(len(attempt.problems))
    )
