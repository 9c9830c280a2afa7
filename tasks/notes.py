"""Facts in commit records: what a commit of the platform says beyond what every record has a field for.

An attempt has them from its staging on; its commit record keeps them as JSON, under keys that this module
alone knows. A fact that a commit says nothing of is None and has no key. What this version does not know, or
cannot read, stays as it is, so that it is still there where another commit carries the record on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple, Self, TypeAlias

from storage.types import CommitRecord
from tasks.rows.partitions import Partition

Account: TypeAlias = Mapping[str, int]
"""Rows by what became of them; counts of 0 may be left out."""
Columns: TypeAlias = Mapping[str, str]
"""Types of columns by their names."""


@dataclass(frozen=True)
class Batch:
    """What a person accepts or rejects: rows of one delivery, a file or an extraction, or an attempt itself.

    Attributes:
        accepted: Whether a recorded decision lets it through the gate.
        found_again: Whether an extraction finds it again when it is rejected.
    """

    batch_id: str
    rows: int = 0
    quarantined: int = 0
    waiting: int = 0
    accepted: bool = False
    found_again: bool = False

    @classmethod
    def load(cls, raw: Mapping[str, Any]) -> Batch:
        """Read one back; `found_again` was `returns` in earlier versions."""
        older = {"found_again": raw["returns"]} if "returns" in raw else {}
        return cls(**{n: value for n, value in raw.items() if n != "returns"} | older)


@dataclass(frozen=True)
class BackfillPart:
    """The partition of a table that a backfill restates."""

    id: str
    partition: Partition

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """Read it back."""
        return cls(str(stored["id"]), Partition.from_note(stored))

    def stored(self) -> dict[str, str]:
        """As JSON."""
        return {"id": self.id, **self.partition.note}


@dataclass(frozen=True)
class ColumnsDiffer:
    """How the columns of a delivery differ from those expected, as `ops.schema_changes` has it.

    Attributes:
        mode: `drift` of the source.
        change: The difference in words.
    """

    batch_id: str
    mode: str
    change: str
    before: Columns
    after: Columns


@dataclass(frozen=True)
class ReleaseRequest:
    """Id of a request to let rows out of quarantine, the label of their table, and what is asked for."""

    request: str
    table: str
    action: str


@dataclass(frozen=True)
class Notes:
    """Facts of one commit. In parentheses: which commits say so, and what reads it; else it is for people.

    Attributes:
        batches: Ids of the deliveries in it (every step of a run).
        replaces: It replaces the whole table (rebuild; reports, pushes).
        score: Share of the checks that passed, from 0 to 1 (every step of a run).
        waived: Checks that failed, and were let through by a recorded acceptance (every step of a run).
        itself: The attempt where it is resolved by itself, having no delivery (silver, gold; the gate, and
            `lakehouse batch`).
        keeps_changes: The rows that it changes are kept for readers (silver, gold; `tasks.records.changes`).
        rejected: Ids of the deliveries that it passes over (tables fed row by row).
        releases: Rows that leave the quarantine with it (tables fed row by row; the quarantine, backfills).
        accounts: The account of each delivery, by batch id (tables fed row by row; row accounting).
        rebuilt: What was counted before is counted again in it (tables fed row by row; accounting).
        snapshot: Place of the newest snapshot, as text; empty for none (tables of snapshots; the next step).
        null_keys: Groups with a null in their key are up to date, which earlier versions left stale (derived
            tables; the next step).
        backfill: The part that it restates (backfills; their ledger, accounting, reports).
        start: Fingerprint of where an extraction went on (bronze; the attempt of a run after it).
        delivered: Columns of the last delivery (bronze; the next delivery is compared with them).
        drift: How deliveries differ from what is expected (bronze; `ops.schema_changes`).
        added: Columns that it adds to the table (bronze; its publication).
        deliveries: The highest number of a delivery so far, those rolled back included (rollbacks of bronze;
            the next delivery).
        recalled: Rows that left with their delivery, by batch id (quarantines in rollbacks; accounting).
        request: What a person asks for (the table of requests; the next step of the silver table).
        others: Values by key that have no type here: how far an extraction has come, under the name that its
            reader gives it, and what other versions of the platform wrote.
    """

    batches: tuple[str, ...] | None = None
    replaces: bool | None = None
    score: float | None = None
    waived: tuple[str, ...] | None = None
    itself: Batch | None = None
    keeps_changes: bool | None = None
    rejected: tuple[str, ...] | None = None
    releases: int | None = None
    accounts: Mapping[str, Account] | None = None
    rebuilt: bool | None = None
    snapshot: str | None = None
    null_keys: bool | None = None
    backfill: BackfillPart | None = None
    start: str | None = None
    delivered: Columns | None = None
    drift: tuple[ColumnsDiffer, ...] | None = None
    added: tuple[str, ...] | None = None
    deliveries: int | None = None
    recalled: Mapping[str, int] | None = None
    request: ReleaseRequest | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, record: CommitRecord | None) -> Self:
        """The facts of a record; none where there is no record of ours."""
        return cls.read(record.notes) if record is not None else cls()

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """The facts in JSON, by whichever version it was written."""
        others, found = dict(stored), dict[str, Any]()
        for name, form in _FORMS.items():
            if stored.get(form.keys[0]) is None:
                continue
            try:
                found[name] = form.read(*map(stored.get, form.keys))
            except (KeyError, TypeError, ValueError):
                continue
            for key in form.keys:
                others.pop(key, None)
        return cls(**found, others=others)

    def stored(self) -> dict[str, Any]:
        """The facts as JSON."""
        found: dict[str, Any] = {}
        for name, form in _FORMS.items():
            if (value := getattr(self, name)) is not None:
                made = form.write(value)
                found |= zip(form.keys, made if len(form.keys) > 1 else [made], strict=True)
        return {**found, **self.others}


def _same(value: Any) -> Any:
    return value


class _Form(NamedTuple):
    """How a fact is stored: as the value of a key, or as the values of several."""

    keys: tuple[str, ...]
    read: Callable[..., Any] = _same
    write: Callable[[Any], Any] = _same


_FORMS = {made.name: _Form((made.name,)) for made in fields(Notes) if made.name != "others"} | {
    "batches": _Form(("batches",), tuple, list),
    "replaces": _Form(("replace",)),
    "waived": _Form(("waived",), tuple, list),
    "itself": _Form(
        ("batch_id", "accepted"),
        lambda batch_id, accepted: Batch(str(batch_id), accepted=bool(accepted)),
        lambda batch: (batch.batch_id, batch.accepted),
    ),
    "keeps_changes": _Form(("changes",)),
    "rejected": _Form(("rejected",), tuple, list),
    "backfill": _Form(("backfill",), BackfillPart.read, BackfillPart.stored),
    "start": _Form(("position",)),
    "drift": _Form(
        ("drift",),
        lambda found: tuple(ColumnsDiffer(**one) for one in found),
        lambda kept: [*map(asdict, kept)],
    ),
    "added": _Form(("evolve",), tuple, list),
    "recalled": _Form(("recalled",), write=dict),  # a Counter is no mapping to `asdict`
    "request": _Form(
        ("request", "table", "action"),
        lambda request, table, action: ReleaseRequest(request, table, action or ""),
        lambda made: (made.request, made.table, made.action),
    ),
}
"""How each fact is stored; some keys keep the first name of their fact, as older records have it."""
