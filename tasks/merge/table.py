"""A table that is merged: fed row by row from bronze."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from checks.model import CheckResult
from storage.types import Commit, TableRef
from tasks.context import Attempt, Context, inputs_changed, source_versions
from tasks.domain.schemas import (
    quarantine_of,
    quarantine_schema,
    silver_schema,
    tombstones_of,
)
from tasks.domain.spec import DomainSpec
from tasks.merge import checks, quarantine, restate, silver, tombstones
from tasks.merge.outcomes import plan
from tasks.notes import BackfillPart
from tasks.records import releases
from tasks.records.decisions import rejected
from tasks.records.heads import expected
from tasks.table.columns import create_bronze, create_exact, create_growing
from tasks.table.kind import Audited, TableKind
from tasks.table.writing import Difference, audited, publish_difference


@dataclass(frozen=True)
class Merged(TableKind):
    """A silver table that is fed row by row, as a kind of table."""

    ref: TableRef
    follows_inputs: ClassVar[bool] = False

    def create(self, context: Context) -> None:
        """Create it, its quarantine and, where it has one, its table of tombstones."""
        spec = context.domain.silver[self.ref.name]
        feed = context.domain.ref(spec.source or "")
        if context.store.exists(feed):
            create_bronze(context, feed)  # a rebuild of silver alone reads columns newly declared
        create_exact(context, self.ref, silver_schema(spec))
        beside = quarantine_schema(context.domain.bronze[feed.name])
        create_growing(context, quarantine_of(self.ref), beside)
        if spec.keeps_tombstones:
            create_exact(context, tombstones_of(self.ref), tombstones.tombstone_schema(spec))

    def has_news(self, context: Context) -> bool:
        """Whether an input has moved, a person asks for rows, or a run was cut off."""
        if context.run.rebuild or not context.store.exists(quarantine_of(self.ref)):
            return True
        before = source_versions(context, self.ref)
        asked = releases.asked(context.store, self.ref, before.get(releases.LABEL))
        unfinished = quarantine.release_unfinished(context, self.ref)
        return unfinished or bool(asked) or inputs_changed(context, self.ref, before)

    def stage(self, context: Context) -> Attempt | None:
        """Judge the new rows, and find what the merge will do with each."""
        return silver.stage(context, self.ref)

    def undivided(self, domain: DomainSpec) -> str:
        """A table without `partition` has no parts."""
        partition = domain.silver[self.ref.name].partition
        return "" if partition else f"it declares none ({self.ref.label}.partition)"

    def restage(self, context: Context, part: BackfillPart) -> Attempt:
        """Make the rows of one partition again, from bronze as it was consumed."""
        return restate.stage(context, self.ref, part)

    def prepare_restaging(self, context: Context) -> None:
        """Complete a release that was cut off, and take back rows that entered without a silver commit."""
        if context.store.exists(self.ref):
            quarantine.finish_release(context, self.ref)
            quarantine.undo_entering(context, self.ref)

    def own_checks(self, context: Context, attempt: Attempt) -> Sequence[CheckResult]:
        """That no row is lost, and that what is kept out is within its limits."""
        return checks.own_checks(context, attempt)

    def audited(self, context: Context, attempt: Attempt) -> Audited:
        """The rows to merge, and the table as it will be."""
        return audited(context, attempt, self._difference(context, attempt))

    def expected_rows(self, attempt: Attempt) -> int:
        """Rows taken from bronze."""
        return attempt.rows.get("ingested", 0)

    def withdrawn(self, context: Context, attempt: Attempt) -> Sequence[str]:
        """Batches that were rejected since, also those of which only rows in quarantine were tried again."""
        ids = {batch.batch_id for batch in attempt.batches} | set(attempt.notes.accounts or ())
        ids -= set(attempt.notes.rejected or ())
        return sorted(ids.intersection(rejected(context.store, context.domain.name)))

    def publish(self, context: Context, attempt: Attempt) -> Commit:
        """Let rows enter the quarantine, merge the good ones, and let released rows leave."""
        spec = context.domain.silver[self.ref.name]
        expected(context, attempt, self.ref)  # else what is written beside it would be for nothing
        quarantine.finish_release(context, self.ref)  # of a part whose rows did not leave
        quarantine.enter(context, attempt)
        quarantine.note_leaving(context, attempt)
        tombstones.enter(context, attempt, spec)
        commit = publish_difference(
            context, attempt, lambda: self._difference(context, attempt),
            cluster_by=spec.cluster_by,
            looked_for=not attempt.is_part,  # parts of a backfill may hold a key twice
        )  # fmt: skip
        quarantine.leave(context, attempt)
        return commit

    def _difference(self, context: Context, attempt: Attempt) -> Difference:
        """The merge plan of an attempt and the rows for it: what is checked is what is published."""
        if attempt.is_part:
            return Difference(
                restate.plan_of(context, attempt), restate.staged_rows(context, attempt)
            )
        spec = context.domain.silver[self.ref.name]
        return Difference(plan(spec), silver.staged_rows(context, attempt))
