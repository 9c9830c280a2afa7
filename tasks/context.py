"""What a step works with, and the handle that it passes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
from pyspark.sql import DataFrame

from checks.gate import Verdict
from checks.model import CheckResult
from checks.scanner import Scanner
from storage.base import TableStore
from storage.disk import write_text
from storage.parquet_reading import parquet_dataset
from storage.types import CommitRecord, SourceFile, TableRef, Version
from tasks.domain.spec import DomainSpec, dependencies
from tasks.domain.sql_files import sql_file
from tasks.landing.folders import Landing
from tasks.notes import Batch, Notes


@dataclass(frozen=True)
class RunInfo:
    """Identity of a run.

    Attributes:
        run_id: Unique name of the run.
        started_at: UTC instant of its start; `_ingested_at` and `_updated_at` of its rows.
        code: Version of the platform.
        rebuild: Rebuild silver and gold from bronze instead of going on from what they have consumed.
        again: Files whose known content is to be taken in again.
        as_of: Business instant given by the caller, or None for the domain's own.
        as_of_at: The domain's own, by the versions that it was taken from; the steps of a run share it.
    """

    run_id: str
    started_at: datetime
    code: str
    rebuild: bool = False
    again: tuple[str, ...] = ()
    as_of: str | None = None
    as_of_at: dict[tuple[str, ...], str] = field(default_factory=dict, compare=False, repr=False)


@dataclass
class Context:
    """Everything a step needs; made for each step, with a store on a session of its own."""

    store: TableStore
    scanner: Scanner
    domain: DomainSpec
    landing: Landing
    staging: Path
    run: RunInfo

    def sql(self, relative: str) -> str:
        """Text of one of the domain's SQL files.

        Raises:
            ConfigurationError: There is no such file.
        """
        return sql_file(self.domain, relative)

    def folder(self, ref: TableRef, token: str) -> Path:
        """Where the staged rows of one attempt are kept."""
        return self.staging / self.store.format_of(ref) / ref.path / token

    def record(self, attempt: Attempt) -> CommitRecord:
        """The commit record of publishing what was staged."""
        batches = tuple(batch.batch_id for batch in attempt.batches)
        notes = replace(attempt.notes, batches=batches, replaces=attempt.replace or None)
        return CommitRecord(
            run_id=self.run.run_id,
            token=attempt.token,
            inputs=attempt.inputs if attempt.consumed is None else attempt.consumed,
            files=attempt.files,
            code=self.run.code,
            contract=attempt.contract,
            rows=attempt.rows,
            as_of=self.run.as_of or "",
            notes=notes.stored(),
        )

    def step_record(self, attempt: Attempt, step: str) -> CommitRecord:
        """The commit record of a write beside the table; its token names attempt and step."""
        return CommitRecord(
            run_id=self.run.run_id,
            token=f"{attempt.token}.{step}",
            inputs=attempt.inputs,
            code=self.run.code,
            contract=attempt.contract,
        )


@dataclass(frozen=True)
class Problem:
    """A reason against a delivered file, found while staging; `acceptable` where a person may let it in."""

    batch_id: str
    file: str
    message: str
    acceptable: bool


@dataclass(frozen=True)
class Attempt:
    """Rows that were written to the staging folder and wait for their gate.

    Attributes:
        table: Where they go.
        token: Identity of the attempt, from its inputs and the decisions on them; a repeat has the same.
        folder: Holds `rows/` as Parquet; for bronze also `files/`, one file a delivery; for a merged table
            `quarantine/` and `released/`; for a derived one `touched/`.
        inputs: Version of each upstream table that was read, by `layer.table`.
        rows: Row accounting (see `CommitRecord.rows`).
        batches: The delivered files in it.
        files: For bronze, what the commit record says of each file.
        problems: For bronze, files that cannot be taken.
        contract: Fingerprint of the table's configuration and SQL.
        replace: Publish by replacing the whole table (rebuild).
        notes: Further facts, for the commit record.
        seconds: Time of staging.
        consumed: What the commit record says was consumed, where that is not what was read: a restated
            part leaves the table where it was.
        heads: Version of the table, and of those written beside it, by `layer.table`, before anything was
            read: what is checked is published upon these or not at all.
    """

    table: TableRef
    token: str
    folder: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    batches: tuple[Batch, ...] = ()
    files: tuple[SourceFile, ...] = ()
    problems: tuple[Problem, ...] = ()
    contract: str = ""
    replace: bool = False
    notes: Notes = field(default_factory=Notes)
    seconds: float = 0.0
    consumed: Mapping[str, str] | None = None
    heads: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_part(self) -> bool:
        """Whether a backfill stages a part of the table, not all of it."""
        return self.notes.backfill is not None and not self.replace

    @property
    def resolvable(self) -> tuple[Batch, ...]:
        """What a person can accept or reject: its deliveries, or the attempt itself where it has none."""
        return self.batches or ((self.notes.itself,) if self.notes.itself else ())

    def noting(self, **facts: Any) -> Attempt:
        """A copy with further facts."""
        return replace(self, notes=replace(self.notes, **facts))

    def count(self, name: str, condition: ds.Expression | None = None) -> int:
        """Rows of one Parquet folder of the attempt, from its footers where there is no condition."""
        path = Path(self.folder) / name
        return parquet_dataset(path).count_rows(filter=condition) if path.is_dir() else 0

    def part(self, name: str) -> str:
        """Path of one Parquet folder of the attempt."""
        return str(Path(self.folder) / name)

    def timed(self, seconds: float) -> Attempt:
        """A copy that knows how long staging took."""
        return replace(self, seconds=round(seconds, 3))

    def clear(self) -> None:
        """Remove the folder before staging into it: rows of an earlier try may not come again."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def save(self) -> None:
        """Write the attempt to `attempt.json` beside its rows, for later runs and for people."""
        kept = asdict(self) | {"notes": self.notes.stored()}
        text = json.dumps(kept, indent=2, default=str)
        write_text(Path(self.folder) / "attempt.json", text)

    @classmethod
    def load(cls, folder: Path) -> Attempt | None:
        """Read back the handle of an attempt; None where it was not written whole, or by a newer version."""
        try:
            raw = json.loads((folder / "attempt.json").read_text(encoding="utf-8"))
            if (
                "position" in raw
            ):  # of the attempt itself: the name of `consumed` in earlier versions
                raw["consumed"] = raw.pop("position")
            return cls(
                **raw
                | {
                    "table": TableRef(**raw["table"]),
                    "folder": str(folder),
                    "batches": tuple(Batch.load(b) for b in raw["batches"]),
                    "files": tuple(SourceFile(**f) for f in raw["files"]),
                    "problems": tuple(Problem(**p) for p in raw["problems"]),
                    "notes": Notes.read(raw.get("notes", {})),
                }
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None


def fingerprint(*parts: object) -> str:
    """A short stable hash of JSON-serialisable parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def attempt_id(ref: TableRef, inputs: Mapping[str, str], contract: str) -> str:
    """What a person resolves where no delivered file is at hand: the same for the same inputs."""
    return f"{ref.name}-{fingerprint(ref.label, inputs, contract)[:12]}"


def backfill_folder(context: Context, ref: TableRef, token: str) -> Path:
    """Where a part is staged; parts of one table are staged at once, so each has a folder of its own."""
    return (
        context.staging / "_backfill" / context.store.format_of(ref) / ref.path / token / "attempt"
    )


def attempts(context: Context, ref: TableRef) -> list[Attempt]:
    """The table's attempts, parts of backfills among them, that were staged and not published."""
    handles = [
        *context.folder(ref, "any").parent.glob("*/attempt.json"),
        *backfill_folder(context, ref, "any").parent.parent.glob("*/attempt/attempt.json"),
    ]
    found = [Attempt.load(handle.parent) for handle in sorted(handles)]
    return [attempt for attempt in found if attempt is not None]


def source_versions(context: Context, ref: TableRef) -> Mapping[str, str]:
    """The versions of its inputs that a table has consumed, from the head commit of the table itself."""
    record = context.store.head(ref).record
    return record.inputs if record is not None and not context.run.rebuild else {}


def has_changed(context: Context, ref: TableRef, since: str | None) -> bool:
    """Whether rows of a table may differ from those of an earlier version."""
    head = context.store.head(ref)
    if since is None:
        return head.record is not None
    if head.version == since:
        return False
    newer = context.store.since(ref, Version(since))
    return any(entry.record is None or not entry.record.is_checkpoint for entry in newer)


def inputs_changed(context: Context, ref: TableRef, before: Mapping[str, str]) -> bool:
    """Whether any input of a table has changed since the version that it consumed, or does not exist yet."""
    return any(
        not context.store.exists(context.domain.ref(label))
        or has_changed(context, context.domain.ref(label), before.get(label))
        for label in dependencies(context.domain)[ref.label]
    )


def views(context: Context, versions: Mapping[str, str]) -> None:
    """Register each table at a version as the view `layer_table`, without its deleted rows."""
    for label, version in versions.items():
        ref = context.domain.ref(label)
        rows = context.store.read(ref, Version(version))
        live(context.domain, ref, rows).createOrReplaceTempView(ref.view)


def live(domain: DomainSpec, ref: TableRef, rows: DataFrame) -> DataFrame:
    """The rows of a table that queries of the domain see."""
    return rows.where("not _is_deleted") if domain.spec(ref).hides_deleted else rows


@dataclass(frozen=True)
class GateReport:
    """What the gate of one attempt decided and why.

    Attributes:
        waived: The checks that failed, but were let through by a recorded acceptance.
    """

    table: TableRef
    token: str
    verdict: Verdict
    results: tuple[CheckResult, ...]
    batches: tuple[str, ...]
    waived: tuple[str, ...] = ()
