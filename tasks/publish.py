"""Publication of staged rows, after their gate."""

from __future__ import annotations

import shutil
from pathlib import Path

from storage.types import Commit
from tasks import bronze, derived, quarantine, silver
from tasks.bench import Bench, Staged
from tasks.gate import GateReport, is_derived


def publish(bench: Bench, staged: Staged, gate: GateReport) -> Commit:
    """Commit exactly the rows that were checked, and record what they came from.

    The commit is the checkpoint: the next run goes on from the record inside it. A repeat after a kill
    finds its token and writes nothing.
    """
    if gate.verdict.blocked or gate.token != staged.token:
        raise ValueError(f"{staged.table.label}: only rows that passed their gate are published")
    commit = _publish(bench, staged, gate)
    shutil.rmtree(Path(staged.folder).parent, ignore_errors=True)  # earlier attempts are superseded
    return commit


def _publish(bench: Bench, staged: Staged, gate: GateReport) -> Commit:
    ref, store = staged.table, bench.store
    notes = {"score": round(gate.verdict.score, 4), "waived": list(gate.waived)}
    if ref.layer == "bronze":
        rows = bronze.staged_rows(bench, staged)
        return store.append(ref, rows, bench.record(staged, **notes))
    if is_derived(bench, ref):
        plan, rows = derived.plan(bench, ref), derived.staged_rows(bench, staged)
        unchanged = not (staged.rows["published"] or staged.rows["removed"])
    else:
        plan = silver.plan(bench.domain.silver[ref.name])
        rows = silver.staged_rows(bench, staged)
        quarantine.enter(bench, staged)
        unchanged = not (staged.rows["published"] or staged.rows["refreshed"])
    if unchanged and not staged.replace:
        commit = store.mark(ref, bench.record(staged, **notes, mark=True))
    else:
        record = bench.record(staged, **notes)
        if not store.stats(ref).rows:
            commit = store.append(ref, rows, record)  # cheaper than replacing or matching nothing
        elif staged.replace or store.head(ref).record is None:
            commit = store.overwrite(ref, rows, record)
        else:
            commit = store.merge(ref, rows, plan, record)
    if not is_derived(bench, ref):
        quarantine.leave(bench, staged)
    return commit
