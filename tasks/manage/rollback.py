"""Back to an earlier state: planned from commit records, done as new commits.

The commit of a rollback carries the record of the version that it restores, so the next run goes on from
there: it takes in again what came afterwards. Tables are restored against the direction of their
dependencies, so that no table is ahead of what it was made from for longer than the rollback takes; a
rollback that was killed is planned again from what is left to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from storage.base import TableStore
from storage.errors import ConfigurationError, VersionNotFoundError
from storage.types import (
    Commit,
    CommitRecord,
    Snapshot,
    TableRef,
    Version,
    lineage,
)
from tasks.context import Context
from tasks.domain.schemas import quarantine_of
from tasks.domain.spec import DomainSpec, dependencies
from tasks.notes import Notes
from tasks.records.ledger import delivered, last_delivery


@dataclass(frozen=True)
class Restore:
    """One table that goes back.

    Attributes:
        table: The table.
        to: The version that becomes current again.
        of: The version that is current now.
        undone: Runs whose commits do not count any more, the newest first.
        follows: The table that this one is written together with; None where it stands for itself.
    """

    table: TableRef
    to: Version
    of: Version
    undone: tuple[str, ...]
    follows: TableRef | None = None


def plan_version(context: Context, ref: TableRef, to: Version) -> list[Restore]:
    """Take one table, and what belongs to it, back to a version.

    Raises:
        VersionNotFoundError: The table's history does not hold the version.
    """
    context.store.lineage(ref, to)  # refuses an unknown version
    return _with_companions(context, ref, _step(context.store, ref, to), to)


def plan_run(context: Context, tables: Sequence[TableRef], run_id: str) -> list[Restore]:
    """Take every table that a run wrote back to the version before its first commit there.

    A repeat finds nothing to do.

    Raises:
        ConfigurationError: No table was ever written by such a run.
        VersionNotFoundError: The history does not reach back to before the run.
    """
    steps: list[Restore] = []
    known = False
    for ref in reversed(tables):
        if not context.store.exists(ref):
            continue
        history = context.store.history(ref)
        known = known or any(_written_by(entry, run_id) for entry in history)
        to = _before(ref, history, run_id)
        step = _step(context.store, ref, to) if to is not None else None
        steps += _with_companions(context, ref, step, to or history[0].version)
    if not known:
        raise ConfigurationError(
            f"run {run_id}: it has written none of the chosen tables",
            advice=f"See the runs: lakehouse status domain={context.domain.name}",
        )
    return steps


def restore(context: Context, step: Restore) -> Commit:
    """Commit one step of a plan; a repeat within the same run writes nothing."""
    store, ref = context.store, step.table
    found = (entry.record for entry in store.lineage(ref, step.to) if entry.record is not None)
    restored = next(found, CommitRecord(run_id="", token="")).carried()
    notes = replace(Notes.of(restored), accounts=None, rebuilt=None, releases=None)
    spec = context.domain.find(ref)
    if spec is not None and spec.is_delivered:
        notes = replace(notes, deliveries=last_delivery(store, ref))
        _withdraw(context, step)
    record = replace(
        restored,
        run_id=context.run.run_id,
        token=_token(context.run.run_id, step),
        code=context.run.code,
        notes=notes.stored(),
    )
    return store.rollback(ref, step.to, record, expected=step.of)


def _withdraw(context: Context, step: Restore) -> None:
    """Take the rows of deliveries that leave bronze out of silver's quarantines; they may come again."""
    store, domain = context.store, context.domain
    kept = _deliveries(store, step.table, step.to)
    gone = [f.delivery for f in delivered(store, step.table) if f.delivery not in kept]
    fed = [name for name, spec in domain.silver.items() if spec.source == step.table.label]
    for ref in (domain.ref(f"silver.{name}") for name in fed):
        held = quarantine_of(ref)
        if not gone or not store.exists(held):
            continue
        where, checked = f"_delivery IN ({', '.join(map(str, gone))})", store.version(held)
        found = store.read(held).where(where).groupBy("_batch_id", "_delivery").count().collect()
        if found:
            head = store.head(ref).record
            base = head.token if head is not None else step.table.name
            position = head.inputs.get(step.table.label) if head is not None else None
            counted = _deliveries(store, step.table, Version(position)) if position else set()
            recalled: Counter[str] = Counter()
            for row in found:  # those of an attempt that was cut off were never counted
                recalled[row["_batch_id"]] += row["count"] if row["_delivery"] in counted else 0
            record = CommitRecord(
                context.run.run_id,
                f"{base}.withdraw-{context.run.run_id}",
                code=context.run.code,
                notes=Notes(recalled=recalled).stored(),
            )
            store.delete(held, where, record, expected=checked)


def _deliveries(store: TableStore, ref: TableRef, at: Version) -> set[int]:
    """Numbers of the deliveries behind a position."""
    return {file.delivery for e in store.lineage(ref, at) if e.record for file in e.record.files}


def _token(run_id: str, step: Restore) -> str:
    """The token of a rollback; a table that follows another has that one's with a step, as in a run."""
    owner = step.follows or step.table
    return f"rollback-{run_id}-{owner.layer}-{owner.name}" + (".follow" if step.follows else "")


def left_behind(context: Context, steps: Sequence[Restore]) -> list[str]:
    """Silver tables that keep rows of deliveries which leave bronze, in words."""
    store, domain = context.store, context.domain
    after = {step.table.label: step.to for step in steps}
    told: list[str] = []
    for name, spec in domain.silver.items():
        ref = domain.ref(f"silver.{name}")
        if spec.source not in after or ref.label in after or not store.exists(ref):
            continue
        record = store.head(ref).record
        kept = {e.version for e in store.lineage(domain.ref(spec.source), after[spec.source])}
        if record is not None and record.inputs.get(spec.source) not in {None, *kept}:
            told.append(
                f"{ref.label} keeps rows of deliveries that leave {spec.source} until they are "
                f"delivered again; roll it back as well, or rebuild it"
            )
    return told


def _written_by(entry: Snapshot, run_id: str) -> bool:
    return entry.record is not None and entry.record.run_id == run_id


def _before(ref: TableRef, history: Sequence[Snapshot], run_id: str) -> Version | None:
    """The version before a run's first commit that still counts; None where there is no such commit."""
    first = next((e for e in list(lineage(history))[::-1] if _written_by(e, run_id)), None)
    if first is None:
        return None
    place = history.index(first) + 1
    if place == len(history):
        raise VersionNotFoundError(
            f"{ref.label}: the version before run {run_id} is not in the retained history",
            advice=f"Rebuild what reads it: lakehouse rebuild domain={ref.domain}",
        )
    return history[place].version


def _step(store: TableStore, ref: TableRef, to: Version) -> Restore | None:
    """The step to a version; None where the table is there already."""
    history = store.history(ref)
    if to in (history[0].version, history[0].restored):
        return None
    kept = {entry.version for entry in store.lineage(ref, to)}
    gone = [e.record.run_id for e in lineage(history) if e.record and e.version not in kept]
    return Restore(ref, to, history[0].version, tuple(dict.fromkeys(gone)))


def _with_companions(
    context: Context, ref: TableRef, step: Restore | None, to: Version
) -> list[Restore]:
    """The step and, after it, those of the tables that follow: a kill between leaves rows, none is lost."""
    steps = [step] if step is not None else []
    state = context.store.lineage(ref, to)
    for companion in companions(context.store, context.domain, ref):
        place = _place_of(context.store, ref, state, companion)
        follows = _step(context.store, companion, place) if place is not None else None
        steps += [replace(follows, follows=ref)] if follows is not None else []
    return steps


def companions(store: TableStore, domain: DomainSpec, ref: TableRef) -> list[TableRef]:
    """Tables that are written together with a table, such as the quarantine of a silver one."""
    declared = {other.name for other in domain.tables() if other.database == ref.database}

    def owner(name: str) -> str:
        return max((n for n in declared if name.startswith(f"{n}__")), key=len, default="")

    names = [n for n in store.tables(ref.database) if n not in declared]
    return [replace(ref, name=name) for name in names if owner(name) == ref.name]


def _place_of(
    store: TableStore, ref: TableRef, state: Sequence[Snapshot], companion: TableRef
) -> Version | None:
    """The version of a companion that belongs to a state of its table; None where it has no tie to it.

    The tokens of its commits are the table's, followed by a dot and the name of the step.
    """
    history = store.history(companion)
    if not set(_bases(history)) & set(_tokens(store.history(ref))):
        return None
    tokens = set(_tokens(state))
    for entry, base in zip(history, _bases(history), strict=True):
        if base in tokens:
            return entry.version
    return history[-1].version


def _tokens(entries: Iterable[Snapshot]) -> Iterator[str]:
    return (entry.record.token for entry in entries if entry.record is not None)


def _bases(history: Iterable[Snapshot]) -> list[str]:
    return [e.record.token.rpartition(".")[0] if e.record is not None else "" for e in history]


def readers(context: Context, steps: Sequence[Restore]) -> list[str]:
    """Tables outside the plan that read a table in it; the next run brings them up to date."""
    labels = {step.table.label for step in steps}
    return [
        label
        for label, inputs in dependencies(context.domain).items()
        if label not in labels
        and labels & set(inputs)
        and context.store.exists(context.domain.ref(label))
    ]
