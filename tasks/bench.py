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

from checks.scanner import Scanner
from storage.base import TableStore
from storage.disk import write_text
from storage.errors import ConfigurationError
from storage.parquet_reading import parquet_dataset
from storage.types import CommitRecord, SourceFile, TableRef, Version
from tasks.sources.landing import Landing
from tasks.spec import DomainSpec

NOTE = "backfill"
"""Key of the notes in a commit record: id of the backfill and the partition that it restated."""


@dataclass(frozen=True)
class RunInfo:
    """Identity of a run.

    Attributes:
        run_id: Unique name of the run.
        started_at: UTC instant of its start; `_ingested_at` and `_updated_at` of its rows.
        code: Version of the platform.
        rebuild: Build silver and gold anew from bronze instead of going on from their positions.
        again: Files whose known content is to be taken in anew.
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
class Bench:
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

    def record(self, staged: Staged, **notes: Any) -> CommitRecord:
        """The commit record of publishing what was staged."""
        return CommitRecord(
            run_id=self.run.run_id,
            token=staged.token,
            inputs=staged.inputs if staged.position is None else staged.position,
            files=staged.files,
            code=self.run.code,
            contract=staged.contract,
            rows=staged.rows,
            as_of=self.run.as_of or "",
            notes={
                "batches": [b.batch_id for b in staged.batches],
                **({"replace": True} if staged.replace else {}),
                **staged.notes,
                **notes,
            },
        )

    def step_record(self, staged: Staged, step: str) -> CommitRecord:
        """The commit record of a table that is written beside the staged one, under its token."""
        return CommitRecord(
            run_id=self.run.run_id,
            token=f"{staged.token}.{step}",
            inputs=staged.inputs,
            code=self.run.code,
            contract=staged.contract,
        )


def sql_file(domain: DomainSpec, relative: str) -> str:
    """Text of one of a domain's SQL files.

    Raises:
        ConfigurationError: There is no such file.
    """
    path = Path(domain.roots.sql) / relative
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None


@dataclass(frozen=True)
class Batch:
    """Rows of one delivered file in an attempt.

    Attributes:
        returns: Whether an extraction finds it again when it is rejected.
    """

    batch_id: str
    rows: int
    quarantined: int = 0
    waiting: int = 0
    accepted: bool = False
    returns: bool = False


@dataclass(frozen=True)
class Problem:
    """A reason that keeps a delivered file out, found before its rows were staged."""

    batch_id: str
    file: str
    message: str
    acceptable: bool


@dataclass(frozen=True)
class Staged:
    """Rows that were written to the staging folder and wait for their gate.

    Attributes:
        table: Where they go.
        token: Identity of the attempt, from its inputs and the decisions on them; a repeat has the same.
        folder: Holds `rows/`, and for silver `quarantine/` and `released/`, as Parquet.
        inputs: Version of each upstream table that was read, by `layer.table`.
        rows: Row accounting (see `CommitRecord.rows`).
        batches: The delivered files in it.
        files: For bronze, what the commit record says of each file.
        problems: For bronze, files that cannot be taken.
        contract: Fingerprint of the table's configuration and SQL.
        replace: Publish by replacing the whole table (rebuild).
        notes: Further facts for the commit record.
        seconds: Time of staging.
        position: What the commit record says was consumed, where that is not what was read: a restated
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
    notes: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    position: Mapping[str, str] | None = None
    heads: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_part(self) -> bool:
        """Whether a backfill stages a part of the table, not all of it."""
        return NOTE in self.notes and not self.replace

    def count(self, name: str, condition: ds.Expression | None = None) -> int:
        """Rows of one Parquet folder of the attempt, from its footers where there is no condition."""
        path = Path(self.folder) / name
        return parquet_dataset(path).count_rows(filter=condition) if path.is_dir() else 0

    def part(self, name: str) -> str:
        """Path of one Parquet folder of the attempt."""
        return str(Path(self.folder) / name)

    def timed(self, seconds: float) -> Staged:
        """A copy that knows how long staging took."""
        return replace(self, seconds=round(seconds, 3))

    def clear(self) -> None:
        """Empty the folder before it is staged into: what an attempt before it found may be gone."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def save(self) -> None:
        """Write the handle beside its rows, for a person who inspects a blocked attempt."""
        text = json.dumps(asdict(self), indent=2, default=str)
        write_text(Path(self.folder) / "attempt.json", text)

    @classmethod
    def load(cls, folder: Path) -> Staged | None:
        """Read back the handle of an attempt; None where it was not written whole, or by another version."""
        try:
            raw = json.loads((folder / "attempt.json").read_text(encoding="utf-8"))
            return cls(
                **raw
                | {
                    "table": TableRef(**raw["table"]),
                    "folder": str(folder),
                    "batches": tuple(Batch(**b) for b in raw["batches"]),
                    "files": tuple(SourceFile(**f) for f in raw["files"]),
                    "problems": tuple(Problem(**p) for p in raw["problems"]),
                }
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None


def fingerprint(*parts: object) -> str:
    """A short stable hash of JSON-serialisable parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def attempt_id(ref: TableRef, inputs: Mapping[str, str], contract: str) -> str:
    """What a person settles where no delivered file is at hand: the same for the same inputs."""
    return f"{ref.name}-{fingerprint(ref.label, inputs, contract)[:12]}"


def backfill_folder(bench: Bench, ref: TableRef, token: str) -> Path:
    """Where a part is staged; parts of one table are staged at once, so each has a folder of its own."""
    return bench.staging / "_backfill" / bench.store.format_of(ref) / ref.path / token / "attempt"


def attempts(bench: Bench, ref: TableRef) -> list[Staged]:
    """The table's attempts, parts of backfills among them, that were staged and not published."""
    handles = [
        *bench.folder(ref, "any").parent.glob("*/attempt.json"),
        *backfill_folder(bench, ref, "any").parent.parent.glob("*/attempt/attempt.json"),
    ]
    found = [Staged.load(handle.parent) for handle in sorted(handles)]
    return [staged for staged in found if staged is not None]


def position(bench: Bench, ref: TableRef) -> Mapping[str, str]:
    """The versions of its inputs that a table has consumed, from the head commit of the table itself."""
    record = bench.store.head(ref).record
    return record.inputs if record is not None and not bench.run.rebuild else {}


def moved(bench: Bench, ref: TableRef, since: str | None) -> bool:
    """Whether rows of a table may differ from those of an earlier version."""
    head = bench.store.head(ref)
    if since is None:
        return head.record is not None
    if head.version == since:
        return False
    newer = bench.store.since(ref, Version(since))
    return any(entry.record is None or not entry.record.notes.get("mark") for entry in newer)


def views(bench: Bench, versions: Mapping[str, str]) -> None:
    """Register each table at a version as the view `layer_table`, without its deleted rows."""
    for label, version in versions.items():
        ref = bench.domain.ref(label)
        rows = bench.store.read(ref, Version(version))
        live(bench.domain, ref, rows).createOrReplaceTempView(ref.view)


def live(domain: DomainSpec, ref: TableRef, rows: DataFrame) -> DataFrame:
    """The rows of a table that queries of the domain see."""
    hides = ref.layer == "silver" and domain.silver[ref.name].hides_deleted
    return rows.where("not _is_deleted") if hides else rows
