"""Publication of staged rows, after their gate."""

from __future__ import annotations

import shutil
from pathlib import Path

from storage.base import refuse_duplicates
from storage.errors import CommitConflictError
from storage.schemas import same_columns
from storage.types import Commit, CommitRecord
from tasks import bronze, changes, derived, drift, quarantine, tombstones
from tasks.bench import Bench, Staged
from tasks.decisions import rejected
from tasks.gate import GateReport, is_derived, planned
from tasks.heads import expected
from tasks.layout import clustered

CHANGING = ("published", "refreshed", "removed")
"""Row counts of a commit that changes a row."""


def publish(bench: Bench, staged: Staged, gate: GateReport) -> Commit:
    """Commit exactly the rows that were checked, and record what they came from.

    The commit is the checkpoint: the next run goes on from the record inside it. A repeat after a kill
    finds its token and writes nothing.

    Raises:
        CommitConflictError: A table that is written, or a decision, is not what it was when the rows were
            staged: what the gate said of them may be wrong by now. Stage and check again.
    """
    if gate.verdict.blocked or gate.token != staged.token:
        raise ValueError(f"{staged.table.label}: only rows that passed their gate are published")
    _refuse_withdrawn(bench, staged)
    commit = _publish(bench, staged, gate)
    shutil.rmtree(Path(staged.folder).parent, ignore_errors=True)  # earlier attempts are superseded
    return commit


def _refuse_withdrawn(bench: Bench, staged: Staged) -> None:
    if staged.table.layer == "bronze":
        out = bronze.withdrawn(bench, staged)
    else:
        ids = {batch.batch_id for batch in staged.batches}
        if is_derived(bench, staged.table) and not staged.is_part:
            ids.add(str(staged.notes["batch_id"]))
        out = sorted(ids.intersection(rejected(bench.store, bench.domain.name)))
    if out:
        raise CommitConflictError(
            f"{staged.table.label}: {', '.join(out)} was rejected after it had been staged, so nothing is "
            "written",
            advice="Run again: it is staged and checked without it.",
        )


def _publish(bench: Bench, staged: Staged, gate: GateReport) -> Commit:
    ref, store = staged.table, bench.store
    notes = {"score": round(gate.verdict.score, 4), "waived": list(gate.waived)}
    if ref.layer == "bronze":
        checked = drift.apply(bench, staged)
        rows = bronze.staged_rows(bench, staged)
        return store.append(ref, rows, bench.record(staged, **notes), expected=checked)
    expected(bench, staged, ref)  # else what is written beside it would be for nothing
    row_by_row = not is_derived(bench, ref)
    if row_by_row:
        quarantine.finish_release(bench, ref)  # of a part whose rows did not leave
        quarantine.enter(bench, staged)
        quarantine.note_leaving(bench, staged)
        tombstones.enter(bench, staged, bench.domain.silver[ref.name])
    changed = any(staged.rows.get(name) for name in CHANGING)
    if changed or staged.replace:
        changes.keep(bench, staged)
        commit = _write(bench, staged, bench.record(staged, **notes))
    else:
        marked = bench.record(staged, **notes, mark=True)
        commit = store.mark(ref, marked, expected=expected(bench, staged, ref))
    if row_by_row:
        quarantine.leave(bench, staged)
    return commit


def _write(bench: Bench, staged: Staged, record: CommitRecord) -> Commit:
    ref, store = staged.table, bench.store
    plan, rows = planned(bench, staged)
    by = bench.domain.silver[ref.name].cluster_by if ref.layer == "silver" else ()
    initial = clustered(plan.initial(rows), by, staged.rows.get("published", 0))
    checked = expected(bench, staged, ref)  # what is found out from here on holds for this version
    empty = not store.stats(ref).rows
    anew = staged.replace or store.head(ref).record is None
    if not (empty or anew or _only_new(bench, staged)):
        return store.merge(ref, rows, plan, record, expected=checked)
    if is_derived(bench, ref) and derived.spec_of(bench.domain, ref).sql:
        refuse_duplicates(ref, plan.initial(rows), plan.keys)  # as a merge does
    if staged.replace and not same_columns(store.columns(ref), initial.schema):
        return drift.replace(bench, ref, initial, record, checked)
    if anew and not empty:
        return store.overwrite(ref, initial, record, expected=checked)
    # Where nothing has to be matched, this is cheaper than a merge.
    return store.append(ref, initial, record, expected=checked)


def _only_new(bench: Bench, staged: Staged) -> bool:
    """Whether the table has none of the staged keys, so that they need not be looked for again."""
    if staged.is_part:
        return False  # parts of a backfill may hold a key twice
    if is_derived(bench, staged.table) and not derived.has_groups_in_key(
        bench.domain, staged.table
    ):
        return False  # keys were looked for in the touched groups alone
    return changes.only_new(bench, staged)
