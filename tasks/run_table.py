"""One table in a run: created, staged, checked and published, as plain functions without Prefect.

The kind of a table is chosen here and nowhere else; everything that depends on it is a method of the kind.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from storage.errors import CommitConflictError
from storage.types import Commit, TableRef
from tasks.aggregate.table import Derived
from tasks.context import Attempt, Context, GateReport
from tasks.domain.spec import DomainSpec
from tasks.gate import evaluate
from tasks.ingest.table import Ingested
from tasks.merge.table import Merged
from tasks.table.kind import TableKind


def kind_of(domain: DomainSpec, ref: TableRef) -> TableKind:
    """How the table takes its steps, by what the domain declares of it."""
    spec = domain.spec(ref)
    if spec.is_delivered:
        return Ingested(ref)
    return Derived(ref) if spec.is_derived else Merged(ref)


def create(context: Context, ref: TableRef) -> None:
    """Create the table, and those beside it, where they do not exist.

    Raises:
        TableExistsError: It exists with other columns than the domain declares.
    """
    kind_of(context.domain, ref).create(context)


def has_news(context: Context, ref: TableRef) -> bool:
    """Whether the table has anything to take in, from metadata alone: no Spark, no scan."""
    return not context.store.exists(ref) or kind_of(context.domain, ref).has_news(context)


def stage(context: Context, ref: TableRef) -> Attempt | None:
    """Write the rows to publish to the staging folder; None when nothing is new."""
    return kind_of(context.domain, ref).stage(context)


def check(context: Context, attempt: Attempt) -> GateReport:
    """Evaluate every check of the table on the staged rows and on the table as it will be."""
    return evaluate.check(context, kind_of(context.domain, attempt.table), attempt)


def publish(context: Context, attempt: Attempt, gate: GateReport) -> Commit:
    """Commit exactly the rows that were checked, and record what they came from.

    The commit is the checkpoint: the next run goes on from the record inside it. A repeat after a kill
    finds its token and writes nothing.

    Raises:
        CommitConflictError: A table that is written, or a decision, is not what it was when the rows were
            staged: what the gate said of them may be wrong by now. Stage and check again.
    """
    if gate.verdict.blocked or gate.token != attempt.token:
        raise ValueError(f"{attempt.table.label}: only rows that passed their gate are published")
    kind = kind_of(context.domain, attempt.table)
    _refuse_withdrawn(context, kind, attempt)
    score = round(gate.verdict.score, 4)
    noted = replace(attempt, notes=replace(attempt.notes, score=score, waived=gate.waived))
    commit = kind.publish(context, noted)
    shutil.rmtree(
        Path(attempt.folder).parent, ignore_errors=True
    )  # with earlier attempts and what a reader kept
    return commit


def rejected_meanwhile(context: Context, attempt: Attempt) -> Sequence[str]:
    """Batches whose rows were merged, though they were rejected between the last look and the commit."""
    kind = kind_of(context.domain, attempt.table)
    return kind.withdrawn(context, attempt) if attempt.notes.accounts else ()


def _refuse_withdrawn(context: Context, kind: TableKind, attempt: Attempt) -> None:
    out = kind.withdrawn(context, attempt)
    if out:
        raise CommitConflictError(
            f"{attempt.table.label}: {', '.join(out)} was rejected after it had been staged, so nothing is "
            "written",
            advice="Run again: the table is staged and checked without what was rejected.",
        )
