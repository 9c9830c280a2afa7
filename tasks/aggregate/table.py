"""A table that is derived: the result of a query over other tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pyspark.sql import DataFrame

from checks.model import CheckResult, CheckSource
from storage.types import Commit, TableRef
from tasks.aggregate import checks, derived
from tasks.aggregate.volume import volume_check
from tasks.context import Attempt, Context, inputs_changed, source_versions
from tasks.domain.schemas import derived_schema, has_groups_in_key, spec_of
from tasks.domain.spec import DomainSpec, SilverSpec
from tasks.notes import BackfillPart
from tasks.records.decisions import rejected
from tasks.table.columns import create_exact
from tasks.table.kind import Audited, TableKind
from tasks.table.writing import Difference, audited, publish_difference


@dataclass(frozen=True)
class Derived(TableKind):
    """A gold table, or a silver table made of other tables, as a kind of table."""

    ref: TableRef
    follows_inputs: ClassVar[bool] = True

    def create(self, context: Context) -> None:
        """Create it."""
        create_exact(context, self.ref, derived_schema(context.domain, self.ref))

    def has_news(self, context: Context) -> bool:
        """Whether an input has moved."""
        return context.run.rebuild or inputs_changed(
            context, self.ref, source_versions(context, self.ref)
        )

    def stage(self, context: Context) -> Attempt | None:
        """Compute the groups that changes of the inputs touch, and what differs in them."""
        return derived.stage(context, self.ref)

    def undivided(self, domain: DomainSpec) -> str:
        """A table whose groups follow no date and no input with parts has none."""
        return derived.undivided(domain, self.ref)

    def restage(self, context: Context, part: BackfillPart) -> Attempt:
        """Compute the groups of one partition again."""
        return derived.restage(context, self.ref, part)

    def audited(self, context: Context, attempt: Attempt) -> Audited:
        """The rows that differ, and the table as it will be."""
        return audited(context, attempt, self._difference(context, attempt))

    def result_checks(
        self, context: Context, attempt: Attempt, result: DataFrame
    ) -> tuple[Sequence[CheckResult], Sequence[CheckSource]]:
        """That its keys are unique, and that the volume of its inputs arrives."""
        spec = spec_of(context.domain, self.ref)
        more = [volume_check(context, attempt, spec.volume, result)] if spec.volume else []
        return [checks.unique(context, attempt, result)], more

    def expected_rows(self, attempt: Attempt) -> int:
        """Rows that its query gave."""
        return attempt.rows.get("computed", 0)

    def withdrawn(self, context: Context, attempt: Attempt) -> Sequence[str]:
        """The attempt itself, where it was rejected since."""
        ids = set() if attempt.is_part else {batch.batch_id for batch in attempt.resolvable}
        return sorted(ids.intersection(rejected(context.store, context.domain.name)))

    def publish(self, context: Context, attempt: Attempt) -> Commit:
        """Write what differs."""
        spec = spec_of(context.domain, self.ref)
        # Keys were looked for in the touched groups alone, and parts of a backfill may hold one twice.
        looked_for = not attempt.is_part and has_groups_in_key(context.domain, self.ref)
        return publish_difference(
            context, attempt, lambda: self._difference(context, attempt),
            cluster_by=spec.cluster_by if isinstance(spec, SilverSpec) else (),
            looked_for=looked_for, may_repeat_keys=bool(spec.sql),
        )  # fmt: skip

    def _difference(self, context: Context, attempt: Attempt) -> Difference:
        return Difference(derived.plan(context, self.ref), derived.staged_rows(context, attempt))
