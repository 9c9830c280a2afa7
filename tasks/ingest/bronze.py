"""Ingestion: what a source newly delivers becomes rows of an append-only bronze table.

Of this room only this module knows both the ledger and the staging folder; readers know neither.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from storage.errors import InputError
from storage.sql import folded
from storage.types import SourceFile, TableRef
from tasks.context import Attempt, Context, Problem, attempts, fingerprint
from tasks.domain.schemas import bronze_schema
from tasks.domain.spec import DriftMode, SourceSpec
from tasks.ingest import drift
from tasks.ingest.drift import Drift
from tasks.ingest.records import FILES, evolved_columns, file_of
from tasks.ingest.sources.garbage import collector_paused
from tasks.ingest.sources.reader import Offer, Reader, Request, StagedFile
from tasks.ingest.sources.registry import reader_of
from tasks.notes import Batch, Notes
from tasks.records import ledger
from tasks.records.decisions import Decision, Resolution, resolutions
from tasks.records.heads import heads
from tasks.records.ledger import delivered, last_delivery


@dataclass(frozen=True)
class Offered:
    """A delivery that the ledger does not hold, with the id that a person resolves it by."""

    offer: Offer
    batch_id: str


def offered(context: Context, ref: TableRef) -> list[Offered] | None:
    """Deliveries to take in, in their order; None where only a session with Spark can tell."""
    source = context.domain.bronze[ref.name]
    known = delivered(context.store, ref)
    reader = reader_of(source)
    offers = reader.offers(_request(context, ref, reader, known))
    if offers is None:
        return None
    decided = resolutions(context.store, context.domain.name)
    times = Counter(file.sha256 for file in known)
    found = []
    for offer in offers:  # `again` may name two files of one content
        found.append(Offered(offer, _batch_id(ref, offer.sha256, times[offer.sha256])))
        times[offer.sha256] += 1
    return [o for o in found if not _kept_out(source, decided.get(o.batch_id), o.offer.found_again)]


def news(context: Context, ref: TableRef) -> bool:
    """Whether anything is offered, from metadata; True where only Spark can tell."""
    found = offered(context, ref)
    return found is None or bool(found)


def batch_ids(context: Context, ref: TableRef) -> set[str]:
    """Every delivery that a person may resolve: taken in, offered, or staged and blocked."""
    store = context.store
    history = store.history(ref) if store.exists(ref) else []
    ids = {f.batch_id for entry in history if entry.record for f in entry.record.files}
    ids |= {found.batch_id for found in offered(context, ref) or ()}
    return ids | {
        batch.batch_id for attempt in _attempts(context, ref) for batch in attempt.batches
    }


def never_delivered(context: Context, ref: TableRef) -> bool:
    """Whether nothing was ever taken in."""
    return not context.store.exists(ref) or context.store.stats(ref).rows == 0


def missing(context: Context, ref: TableRef) -> str:
    """What a source without any delivery waits for."""
    reader = reader_of(context.domain.bronze[ref.name])
    return f"nothing delivered yet: {reader.waits_for(context.landing)}"


def stage(context: Context, ref: TableRef) -> Attempt | None:
    """Read what is new record by record into the staging folder; None when there is nothing."""
    before = heads(context, ref)
    resolved = _decided_attempt(context, ref)
    if resolved is not None:
        return replace(resolved, heads=before)
    found = offered(context, ref)
    if not found:
        if never_delivered(context, ref) and context.domain.bronze[ref.name].required:
            raise InputError(missing(context, ref), advice="Deliver it, then run again.")
        return None
    source = context.domain.bronze[ref.name]
    start = _start(context, ref)
    token = fingerprint(ref.label, [o.batch_id for o in found], *([start] if start else []))
    folder = context.folder(ref, token)
    decided = resolutions(context.store, context.domain.name)
    first = last_delivery(context.store, ref) + 1
    shutil.rmtree(folder, ignore_errors=True)  # what an attempt that was cut off has left
    taken = _take(context, ref, found, folder, first, set(decided))
    rows = sum(f.rows for f in taken.files)
    attempt = Attempt(
        table=ref,
        token=token,
        folder=str(folder),
        files=tuple(taken.files),
        batches=tuple(
            Batch(
                f.batch_id,
                f.rows,
                accepted=f.batch_id in decided,
                found_again=f.batch_id in taken.found_again,
            )
            for f in taken.files
        ),
        problems=tuple(taken.problems),
        rows={"ingested": rows + taken.skipped, "published": rows}
        | ({"deduplicated": taken.skipped} if taken.skipped else {}),
        contract=_contract(source),
        heads=before,
        notes=_noted(context, ref, taken, start, _advanced(source, found[-1].offer)),
    )
    attempt.save()
    return attempt


@dataclass
class _Taken:
    """Deliveries that were read, reasons against those that were not, and records left out.

    Attributes:
        delivered: Columns and types of the last delivery.
        drifts: How deliveries differ from what is expected, and the mode each was taken in with.
        found_again: Batches that are found again when they are rejected.
    """

    files: list[SourceFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: int = 0
    delivered: Mapping[str, str] = field(default_factory=dict)
    drifts: list[tuple[Drift, DriftMode]] = field(default_factory=list)
    found_again: set[str] = field(default_factory=set)


def _take(
    context: Context, ref: TableRef, found: Sequence[Offered], folder: Path, first: int,
    decided: Set[str],
) -> _Taken:  # fmt: skip
    """Read each delivery into the folder, numbered from `first`."""
    source, held = context.domain.bronze[ref.name], evolved_columns(context, ref)
    (folder / FILES).mkdir(parents=True, exist_ok=True)
    reader, taken = reader_of(source), _Taken(delivered=_last_delivered(context, ref))
    for one in found:
        offer, delivery = one.offer, first + len(taken.files)
        size = offer.path.stat().st_size if offer.bytes is None else offer.bytes
        try:
            with collector_paused():
                parsed = reader.stage(offer, file_of(folder, delivery))
        except InputError as error:
            taken.problems.append(Problem(one.batch_id, offer.name, str(error), acceptable=False))
            continue
        accepted = one.batch_id in decided
        differs = _drift(source, held, one.batch_id, parsed, taken.delivered)
        mode = DriftMode.rescue if accepted and source.drift is DriftMode.freeze else source.drift
        if differs.is_news(taken.delivered, mode):
            taken.drifts.append((differs, mode))
        blocks = differs.difference if mode is DriftMode.freeze else "; ".join(differs.breaking)
        reasons = [f"the {reader.shape} {blocks}"] if blocks else []
        reasons += [offer.concern] if offer.concern else []
        taken.found_again |= {one.batch_id} if offer.found_again else set()
        if reasons and not accepted:
            text = f"{one.offer.name}: {'; '.join(reasons)}"
            taken.problems.append(Problem(one.batch_id, one.offer.name, text, acceptable=True))
        if source.drift is DriftMode.evolve:
            # as from the next run on: later deliveries of this one are expected to have them
            held += filter(drift.can_be_column, differs.unknown)
        taken.delivered = differs.after
        taken.skipped += parsed.skipped
        taken.files.append(
            SourceFile(
                offer.name, offer.sha256, size, parsed.rows, one.batch_id, delivery, offer.etag
            )
        )
    return taken


def _request(
    context: Context, ref: TableRef, reader: Reader, known: Sequence[SourceFile]
) -> Request:
    holds = context.store.exists(ref) and context.store.stats(ref).rows > 0
    return Request(
        table=ref.name,
        landing=context.landing,
        scratch=context.folder(ref, "extraction"),
        seen=context.staging / "_seen" / f"{ref.path}.json",
        again=frozenset(context.run.again),
        taken=known,
        position=_reached(context, ref, reader),
        session=context.store.session if context.store.has_session else None,
        held=(lambda: context.store.read(ref)) if holds else None,
    )


def _start(context: Context, ref: TableRef) -> str | None:
    """Fingerprint of where an extraction goes on; None for sources that keep their deliveries."""
    reader = reader_of(context.domain.bronze[ref.name])
    if reader.keeps_deliveries:
        return None
    after = [len(delivered(context.store, ref)), _reached(context, ref, reader)]
    return fingerprint(ref.label, after)


def _reached(context: Context, ref: TableRef, reader: Reader) -> Mapping[str, Any] | None:
    return ledger.position(context.store, ref, reader.note) if reader.note else None


def _advanced(source: SourceSpec, offer: Offer) -> Mapping[str, object]:
    """The position for the commit record: the next run goes on from there."""
    note = reader_of(source).note
    return {note: dict(offer.position)} if note and offer.position is not None else {}


def _contract(source: SourceSpec) -> str:
    watermark = source.watermark.column if source.watermark else ""
    topic = [source.kafka.topic] if source.kafka else []
    form = [
        source.kind,
        source.format,
        source.envelope,
        source.table,
        source.query,
        watermark,
        *topic,
    ]
    return fingerprint(source.columns, source.delimiter, source.encoding, form)


def _batch_id(ref: TableRef, sha256: str, times: int) -> str:
    """Id of a delivery whose content was taken in so many times before."""
    base = f"{ref.name}-{sha256[:12]}"
    return base if times == 0 else f"{base}-again{times}"


def withdrawn(context: Context, attempt: Attempt) -> list[str]:
    """Batches of an attempt that were rejected after it was staged, and have to stay out."""
    source = context.domain.bronze[attempt.table.name]
    decided = resolutions(context.store, context.domain.name)
    return [
        b.batch_id
        for b in attempt.batches
        if _kept_out(source, decided.get(b.batch_id), b.found_again)
    ]


def _kept_out(source: SourceSpec, resolution: Resolution | None, found_again: bool) -> bool:
    """Whether a rejected delivery stays outside bronze.

    What lies below a position is not read again once it has passed: a rejected extraction goes into
    bronze, and silver passes over it. Deletes that a key snapshot found are found again.
    """
    rejected = resolution is not None and resolution.decision is Decision.rejected
    return rejected and (found_again or reader_of(source).note is None)


def _decided_attempt(context: Context, ref: TableRef) -> Attempt | None:
    """A staged extraction that a person decided on: it is what they saw, so it is not read again."""
    source = context.domain.bronze[ref.name]
    start = _start(context, ref)
    if start is None:
        return None
    decided = resolutions(context.store, context.domain.name)
    for attempt in _attempts(context, ref):
        resolved = [(decided.get(b.batch_id), b.found_again) for b in attempt.batches]
        if (
            attempt.notes.start == start
            and all(s is not None and not _kept_out(source, s, r) for s, r in resolved)
            and all(file_of(Path(attempt.folder), f.delivery).exists() for f in attempt.files)
        ):
            shutil.rmtree(attempt.part("rows"), ignore_errors=True)  # of the run that staged it
            batches = tuple(replace(b, accepted=True) for b in attempt.batches)
            return replace(attempt, batches=batches, problems=())
    return None


def _attempts(context: Context, ref: TableRef) -> list[Attempt]:
    """Attempts in the staging folder that hold a delivery and were not published."""
    return [attempt for attempt in attempts(context, ref) if attempt.files]


def _drift(
    source: SourceSpec,
    held: Sequence[str],
    batch_id: str,
    parsed: StagedFile,
    last: Mapping[str, str],
) -> Drift:
    own = [c for c in source.columns if c not in (*parsed.missing, *parsed.absent)]
    new = set(parsed.unknown) - {*last, *held}
    gone = [c for c in parsed.absent if c in last and new]
    if parsed.sparse and not new:  # a key that no record names is null, an evolved one too
        last = {c: kind for c, kind in last.items() if c not in held or c in parsed.unknown}
    return drift.compared(
        batch_id,
        declared=source.columns,
        held=held,
        last=last,
        delivered=parsed.types or dict.fromkeys([*own, *parsed.unknown], "string"),
        missing=[*parsed.missing, *gone],
        mode=source.drift,
        plain=parsed.plain,
    )


def _noted(
    context: Context, ref: TableRef, taken: _Taken, start: str | None, reached: Mapping[str, object]
) -> Notes:
    """What the commit record says: where the next extraction goes on, and the columns delivered."""
    source = context.domain.bronze[ref.name]
    held = {folded(c) for c in [*bronze_schema(source).names,
                                *evolved_columns(context, ref)]}  # fmt: skip
    new = [c for d, mode in taken.drifts if mode is DriftMode.evolve for c in d.unknown]
    columns = {folded(c): c for c in reversed(new) if drift.can_be_column(c)}
    added = [c for key, c in columns.items() if key not in held][::-1]
    return Notes(
        start=start,
        delivered=taken.delivered,
        drift=tuple(drift.noted(d, source.drift.value) for d, _ in taken.drifts) or None,
        added=tuple(added) or None,
        others=reached,
    )


def _last_delivered(context: Context, ref: TableRef) -> Mapping[str, str]:
    record = context.store.head(ref).record if context.store.exists(ref) else None
    return Notes.of(record).delivered or {}
