"""What became of each row of a table fed row by row: by batch, in a step and since the table began.

For each batch and in total: ingested + released = published + deduplicated + quarantined + rejected. A row
that was released is one that an earlier step has counted as quarantined. A backfill judges rows that are
counted already: what it takes out of the quarantine, less what it puts there, is `restated`, on the right.
A delivery that leaves bronze takes its rows out of the quarantine: `recalled`. It counts again where it is
delivered again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.dataset as ds
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.base import TableStore
from storage.parquet_reading import parquet_dataset
from storage.types import CommitRecord, Snapshot, TableRef, Version, lineage
from tasks.context import Attempt
from tasks.domain.spec import SilverSpec
from tasks.notes import Account, Batch, Notes
from tasks.ops.tables import COUNTS
from tasks.records.ledger import complete
from tasks.rows.frames import HELD_RULE, REFERENCE_MISSING

Entry: TypeAlias = tuple[str, str, int]
"""Batch, what became of rows of it, and how many they are."""
RECALLED = "recalled"
"""In an account: rows that left the quarantine with their delivery."""


class RowOutcome(StrEnum):
    """What a merge does with a staged row."""

    published = "published"
    refreshed = "refreshed"
    unchanged = "unchanged"
    removed = "removed"


class Group(NamedTuple):
    """Rows that are counted together; a superseded row is good, but not the last of its merge key."""

    batch_id: str
    rule: str | None
    retried: bool
    superseded: bool


RowOutcomes: TypeAlias = Counter[tuple[str, str]]
"""Staged rows by batch and outcome."""


def count(rows: DataFrame) -> Counter[Group]:
    """The judged and ranked rows of an attempt by what is counted."""
    superseded = (F.col("_rule").isNull() & (F.col("_rank") > 1)).alias("_superseded")
    grouped = rows.groupBy("_batch_id", "_rule", "_retried", superseded).count().collect()
    return Counter(
        {Group(r["_batch_id"], r["_rule"], r["_retried"], r["_superseded"]): r["count"]
         for r in grouped}
    )  # fmt: skip


def row_outcomes(attempt: Attempt) -> RowOutcomes:
    """The staged rows by batch and outcome."""
    found: RowOutcomes = Counter()
    names = ["_batch_id", "_outcome"]
    for part in parquet_dataset(attempt.part("rows")).to_batches(columns=names):
        counted = pa.Table.from_batches([part]).group_by(names).aggregate([([], "count_all")])
        for row in counted.to_pylist():
            found[row["_batch_id"], row["_outcome"]] += row["count_all"]
    return found


def with_bad_rows(batches: Sequence[Batch], counts: Counter[Group]) -> tuple[Batch, ...]:
    """The batches with the rows that each lost to quarantine, for its limits."""

    def failed(batch: Batch, *, waiting: bool) -> int:
        return sum(
            n
            for group, n in counts.items()
            if group.batch_id == batch.batch_id
            and group.rule is not None
            and not group.retried
            and (group.rule == REFERENCE_MISSING) is waiting
        )

    return tuple(
        replace(b, quarantined=failed(b, waiting=False), waiting=failed(b, waiting=True))
        for b in batches
    )


def by_batch(
    spec: SilverSpec,
    taken: Sequence[Batch],
    rejected: Sequence[Batch],
    counts: Counter[Group],
    outcomes: RowOutcomes,
) -> dict[str, dict[str, int]]:
    """The account of each batch that the attempt took rows of; each count is measured where it happens.

    Where several rows fold into one, `folded` stands for those published and deduplicated.
    """
    found: dict[str, Counter[str]] = {}
    for batch_id, name, rows in (
        *_delivered_rows(taken, rejected),
        *_judged_rows(counts, folds=spec.reduce is not None),
        *(_merged_rows(outcomes) if spec.reduce is None else ()),
    ):
        found.setdefault(batch_id, Counter())[name] += rows
    return {batch_id: dict(account) for batch_id, account in sorted(found.items())}


def _delivered_rows(taken: Sequence[Batch], rejected: Sequence[Batch]) -> Iterator[Entry]:
    for batch in (*taken, *rejected):
        yield batch.batch_id, "ingested", batch.rows
    for batch in rejected:
        yield batch.batch_id, "rejected", batch.rows


def _judged_rows(counts: Counter[Group], *, folds: bool) -> Iterator[Entry]:
    for group, rows in counts.items():
        if group.rule is not None:
            if not group.retried:
                yield group.batch_id, "quarantined", rows
            continue
        if group.retried:
            yield group.batch_id, "released", rows
        if folds:
            yield group.batch_id, "folded", rows
        elif group.superseded:
            yield group.batch_id, "deduplicated", rows


def _merged_rows(outcomes: RowOutcomes) -> Iterator[Entry]:
    names = {RowOutcome.published: "published", RowOutcome.unchanged: "deduplicated"}
    for (batch_id, outcome), rows in outcomes.items():
        if outcome in names:
            yield batch_id, names[RowOutcome(outcome)], rows


def restated(attempt: Attempt) -> dict[str, dict[str, int]]:
    """What a restated part changes of the batches' accounts: rows that enter or leave the quarantine."""
    found: dict[str, Counter[str]] = {}
    for part, name, sign in (("quarantine", "quarantined", -1), ("released", "released", 1)):
        for batch_id, rows in _moved(attempt, part).items():
            found.setdefault(batch_id, Counter()).update({name: rows, "restated": sign * rows})
    return {batch_id: dict(account) for batch_id, account in sorted(found.items())}


def _moved(attempt: Attempt, part: str) -> Counter[str]:
    """Rows of a staged folder by batch; of those that enter only the ones that are not held yet."""
    if not Path(attempt.part(part)).is_dir():
        return Counter()
    fresh = ds.field(HELD_RULE).is_null() if part == "quarantine" else None
    rows = parquet_dataset(attempt.part(part)).to_table(["_batch_id"], filter=fresh)
    counted = rows.group_by("_batch_id").aggregate([([], "count_all")]).to_pylist()
    return Counter({row["_batch_id"]: row["count_all"] for row in counted})


def in_all(
    spec: SilverSpec, accounts: Mapping[str, Account], counts: Counter[Group], outcomes: RowOutcomes
) -> dict[str, int]:
    """The account of the whole attempt."""

    def summed(name: str) -> int:
        return sum(account.get(name, 0) for account in accounts.values())

    def of(outcome: RowOutcome) -> int:
        return sum(rows for (_, each), rows in outcomes.items() if each == outcome)

    fresh = sum(n for group, n in counts.items() if not group.retried)
    rows = {
        "ingested": summed("ingested"),
        "read": fresh + summed("rejected"),
        "released": summed("released"),
        "published": of(RowOutcome.published),
        "refreshed": of(RowOutcome.refreshed),
        "removed": of(RowOutcome.removed),
        "quarantined": summed("quarantined"),
        "waiting": sum(
            n for g, n in counts.items() if g.rule == REFERENCE_MISSING and not g.retried
        ),
        "rejected": summed("rejected"),
    }
    if spec.reduce:
        superseded = sum(n for group, n in counts.items() if group.superseded)
        keys = summed("folded") - superseded
        return rows | {
            "folded": summed("folded"),
            "keys": keys,
            "unchanged": of(RowOutcome.unchanged),
        }
    return rows | {"deduplicated": summed("deduplicated")}


def accounted(account: Account) -> int:
    """Ingested rows that are accounted for."""
    taken = (
        account["folded"]
        if "folded" in account
        else account.get("published", 0) + account.get("deduplicated", 0)
    )
    kept_out = account.get("quarantined", 0) + account.get("rejected", 0)
    return taken + kept_out + account.get("restated", 0) - account.get("released", 0)


def unbalanced(accounts: Mapping[str, Account]) -> list[str]:
    """Batches with rows that are not accounted for, in words."""
    return [
        f"{batch_id}: {accounted(account):,} of {account.get('ingested', 0):,} rows"
        for batch_id, account in accounts.items()
        if accounted(account) != account.get("ingested", 0)
    ]


@dataclass(frozen=True)
class Balance:
    """The account of a table since its first load, or since its last rebuild, which counts all again.

    Attributes:
        delivered: Rows of the deliveries that the table has consumed, those that have left bronze since
            included; None where bronze's history does not reach back to its first delivery.
        rows: Sum of the accounts of the table's commits.
        held: Rows in quarantine now.
        batches: The same sums for each batch.
    """

    delivered: int | None
    rows: Counter[str] = field(default_factory=Counter)
    held: int = 0
    batches: Mapping[str, Account] = field(default_factory=dict)

    @property
    def owed(self) -> int:
        """Rows that went into quarantine, were not released and have not left with their delivery."""
        return _owed(self.rows)

    def missing(self) -> list[str]:
        """What is lost, in words; empty where every row is accounted for."""
        found = []
        ingested = self.rows["ingested"]
        if self.delivered is not None and ingested != self.delivered:
            found.append(f"{ingested:,} of {self.delivered:,} delivered rows were ingested")
        if accounted(self.rows) != ingested:
            found.append(f"{accounted(self.rows):,} of {ingested:,} rows are accounted for")
        if self.held < self.owed:
            found.append(f"{self.held:,} of {self.owed:,} quarantined rows are in quarantine")
        return found

    def missing_of_batches(self, held: Mapping[str, int]) -> list[str]:
        """The same for each batch.

        Args:
            held: Rows in quarantine, by batch.
        """
        found = unbalanced(self.batches)
        for batch_id, account in self.batches.items():
            owed, there = _owed(account), held.get(batch_id, 0)
            if there < owed:
                found.append(f"{batch_id}: {there:,} of {owed:,} quarantined rows are there")
        return found

    @property
    def surplus(self) -> int:
        """Rows in quarantine that no commit speaks of: those of an attempt that was cut off."""
        return max(0, self.held - self.owed)


def balance(
    store: TableStore,
    ref: TableRef,
    quarantine: TableRef,
    source: TableRef,
    pending: CommitRecord | None = None,
) -> Balance:
    """The account of a table, from commit records and metadata alone.

    Args:
        store: Where the tables are.
        ref: A table fed row by row.
        quarantine: Its quarantine.
        source: Its bronze table.
        pending: What is about to be committed, counted among the commits; its quarantined and released
            rows are not, for the quarantine is as it was before.
    """
    entries = [] if Notes.of(pending).rebuilt else _entries(store, ref)
    records = _records(entries)
    total: Counter[str] = Counter()
    batches: dict[str, Counter[str]] = {}
    for record in records:
        total.update(_sums(record))
        for batch_id, account in (Notes.of(record).accounts or {}).items():
            batches.setdefault(batch_id, Counter()).update(account)
    for batch_id, rows in _recalled(store, quarantine, entries):
        total[RECALLED] += rows
        batches.setdefault(batch_id, Counter())[RECALLED] += rows
    held = store.stats(quarantine).rows
    if pending is not None:
        records = [pending, *records]
        total.update(sums := _sums(pending))
        held += _owed(sums)
    positions = [Version(r.inputs[source.label]) for r in records if source.label in r.inputs]
    return Balance(_delivered(store, source, positions), total, held, batches)


def _owed(account: Account) -> int:
    kept = account.get("quarantined", 0) - account.get("released", 0)
    return kept - account.get(RECALLED, 0)


def published_rows(store: TableStore, ref: TableRef, batch_id: str) -> int:
    """Rows of a batch that a table fed row by row has published, from its commit records."""
    if not store.exists(ref):
        return 0
    records = _records(_entries(store, ref))
    accounts = [(Notes.of(record).accounts or {}).get(batch_id, {}) for record in records]
    return sum(a.get("published", 0) + a.get("folded", 0) for a in accounts)


def _entries(store: TableStore, ref: TableRef) -> list[Snapshot]:
    """Commits behind the table back to the one that counts everything again, newest first."""
    found: list[Snapshot] = []
    for entry in store.lineage(ref):
        found.append(entry)
        if entry.restored is None and Notes.of(entry.record).rebuilt:
            break
    return found


def _records(entries: Sequence[Snapshot]) -> list[CommitRecord]:
    """The records that count; those of rollbacks and of changed columns only carry another one on."""
    return [
        entry.record
        for entry in entries
        if entry.record and entry.restored is None and not entry.record.changes_columns
    ]


def _sums(record: CommitRecord) -> Counter[str]:
    """The counts of a commit; of a restated part only what its account changes of the earlier ones."""
    notes = Notes.of(record)
    if notes.backfill and not notes.rebuilt:
        found: Counter[str] = Counter()
        for account in (notes.accounts or {}).values():
            found.update(account)
        return found
    return Counter({name: record.rows[name] for name in COUNTS if name in record.rows})


def _recalled(
    store: TableStore, quarantine: TableRef, entries: Sequence[Snapshot]
) -> Iterator[tuple[str, int]]:
    """Rows that left the quarantine with their delivery after one of the table's commits, by batch."""
    tokens = {entry.record.token for entry in entries if entry.record}
    for entry in store.lineage(quarantine) if store.exists(quarantine) else ():
        if entry.record and entry.record.token.rpartition(".")[0] in tokens:
            yield from (Notes.of(entry.record).recalled or {}).items()


def _delivered(store: TableStore, source: TableRef, consumed: Sequence[Version]) -> int | None:
    """Rows of the deliveries behind positions of bronze, the newest of them first.

    A position that the newest stands on adds nothing, so only those that were rolled back are looked at.
    """
    if not consumed:
        return 0
    if not complete(store, source):
        return None
    history = store.history(source)
    places = {entry.version: place for place, entry in enumerate(history)}
    behind: dict[Version, Snapshot] = {}
    for version in consumed:
        if version in places and version not in behind:
            behind |= {entry.version: entry for entry in lineage(history[places[version] :])}
    return sum(file.rows for e in behind.values() if e.record for file in e.record.files)
