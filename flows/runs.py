"""The runs of this process: what the steps of one share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import BoundedSemaphore

from flows.progress import Progress
from flows.runtime import Runtime
from storage.masking import hidden
from storage.types import TableRef
from tasks.ops.report import TableOutcome
from tasks.records.backfill_ledger import Backfill
from tasks.rows.partitions import Partition


@dataclass
class Run:
    """A run in this process: what its steps share. Tasks know it by its id."""

    runtime: Runtime
    progress: Progress
    outcomes: dict[TableRef, TableOutcome] = field(default_factory=dict)
    backfill: Backfill | None = None
    parts: dict[tuple[TableRef, Partition], TableOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.slots = BoundedSemaphore(max(1, self.runtime.config.workers))

    def note(self, outcome: TableOutcome, partition: Partition | None = None) -> None:
        """Note what became of a table, or of a part of it; a retry overwrites it."""
        outcome = replace(outcome, message=hidden(outcome.message), advice=hidden(outcome.advice))
        if partition is None:
            self.outcomes[outcome.table] = outcome
        else:
            outcome = replace(outcome, partition=partition.label, restated=True)
            self.parts[outcome.table, partition] = outcome
        self.progress.done(outcome)


_RUNS: dict[str, Run] = {}


def register(run: Run) -> None:
    """Make a run known to the steps of this process."""
    _RUNS[run.runtime.run.run_id] = run


def registered(run_id: str) -> Run:
    """The run of that id in this process."""
    return _RUNS[run_id]


def forget(run: Run) -> None:
    """Undo `register`."""
    _RUNS.pop(run.runtime.run.run_id, None)
