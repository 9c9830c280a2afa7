"""What an attempt of a merged table reads: deliveries, requests and the versions between which they came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame

from storage.types import TableRef, Version
from tasks.context import Context, has_changed, source_versions
from tasks.domain.spec import dependencies
from tasks.notes import Batch
from tasks.records import releases
from tasks.records.decisions import Decision, resolutions


@dataclass(frozen=True)
class Intake:
    """What an attempt reads: source versions before and after, the batches and the requests between them.

    Attributes:
        asks: Whether a person asks for rows in quarantine.
        decisions: What persons have decided that bears on its rows, by batch.
    """

    before: Mapping[str, str]
    after: Mapping[str, str]
    batches: tuple[Batch, ...]
    rejected: tuple[Batch, ...]
    asks: bool = False
    decisions: Mapping[str, str] = field(default_factory=dict)

    @property
    def pending(self) -> list[str]:
        """Batches that bronze recorded between the versions."""
        return [b.batch_id for b in (*self.batches, *self.rejected)]

    @property
    def rejected_ids(self) -> list[str]:
        """Batches whose rows are passed over."""
        return [b.batch_id for b in self.rejected]


def intake_of(context: Context, ref: TableRef) -> Intake | None:
    """What there is to read since the source versions of the table; None where nothing is new."""
    spec = context.domain.silver[ref.name]
    assert spec.source is not None  # noqa: S101 - validated with the domain
    before = source_versions(context, ref)
    labels = dependencies(context.domain)[ref.label]
    asked = releases.asked(context.store, ref, before.get(releases.LABEL))
    if not asked and not any(
        has_changed(context, context.domain.ref(label), before.get(label)) for label in labels
    ):
        return None
    after = {label: str(context.store.head(context.domain.ref(label)).version) for label in labels}
    after |= releases.consumed(asked, before)
    pending = _pending(context, spec.source, before.get(spec.source), after[spec.source])
    decided = resolutions(context.store, context.domain.name)
    decision = {b: s.decision for b, s in decided.items()}
    bearing = {
        b: d.value for b, d in decision.items() if b in pending or d is Decision.rejected
    }  # a rejected batch of an earlier attempt may have rows in quarantine
    return Intake(
        before,
        after,
        tuple(
            Batch(b, n, accepted=decision.get(b) is Decision.accepted)
            for b, n in pending.items()
            if decision.get(b) is not Decision.rejected
        ),
        tuple(Batch(b, n) for b, n in pending.items() if decision.get(b) is Decision.rejected),
        asks=bool(asked),
        decisions=bearing,
    )


def _pending(context: Context, source: str, after: str | None, until: str) -> dict[str, int]:
    """Rows of each delivery that bronze recorded after a position, by batch id."""
    found: dict[str, int] = {}
    for entry in context.store.since(context.domain.ref(source), Version(after) if after else None):
        for file in entry.record.files if entry.record else ():
            found[file.batch_id] = found.get(file.batch_id, 0) + file.rows
        if entry.version == until:
            break
    return found


def asked_rows(context: Context, ref: TableRef, intake: Intake) -> DataFrame | None:
    """`_sequence` and `_request_id` of the rows that persons ask for; None where nobody does."""
    if not intake.asks:
        return None
    label = releases.LABEL
    return releases.sequences(context, ref, intake.before.get(label), intake.after.get(label))
