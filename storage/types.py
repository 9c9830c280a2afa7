"""Small frozen values that travel between tasks instead of DataFrames and sessions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, NamedTuple, NewType, Self, TypeVar

Version = NewType("Version", str)
"""Opaque position of a table: a Delta version or an Iceberg snapshot id. Order comes from history."""

EMPTY = Version("empty")
"""The position of an Iceberg table that has no snapshot yet."""

R = TypeVar("R")
LAYERS = ("bronze", "silver", "gold")


LONGEST_NAME = 255
"""Bytes of a file's name on the file systems in use."""


@dataclass(frozen=True, order=True)
class TableRef:
    """A table by domain, layer and name; its database is `<domain>_<layer>`, or `ops`."""

    domain: str
    layer: str
    name: str

    @property
    def database(self) -> str:
        """The schema that holds the table."""
        return "ops" if self.layer == "ops" else f"{self.domain}_{self.layer}"

    @property
    def path(self) -> str:
        """Relative location: `<database>/<name>`."""
        return f"{self.database}/{self.name}"

    @property
    def label(self) -> str:
        """The name a person uses: `layer.table`."""
        return f"{self.layer}.{self.name}"

    @property
    def view(self) -> str:
        """The temporary view under which SQL sees the table: `layer_table`."""
        return f"{self.layer}_{self.name}"

    @classmethod
    def parse(cls, domain: str, label: str) -> Self:
        """Read `layer.table`.

        Raises:
            ValueError: The label has not exactly one dot, or the name is none that a file can have.
        """
        layer, dot, name = label.partition(".")
        fits = name.isprintable() and len(name.encode(errors="replace")) <= LONGEST_NAME
        if not (layer and dot and name and fits) or "." in name:
            raise ValueError(f"{label!r} is not a table name: write layer.table")
        return cls(domain, layer, name)


# Keys of the notes that storage itself writes and reads; a checkpoint keeps the first name of its key.
_CHECKPOINT, _EVOLVED, _ROLLBACK, _COPY = "mark", "evolved", "rollback", "migrated"


class Rollback(NamedTuple):
    """The version that a rollback restored, and the newest before it."""

    to: Version
    of: Version


@dataclass(frozen=True)
class SourceFile:
    """A delivered file as bronze recorded it; `delivery` counts a table's files from 1.

    `mark`, as it is stored, is the ETag, generation or hash of an object store; empty for other deliveries.
    """

    name: str
    sha256: str
    bytes: int
    rows: int
    batch_id: str
    delivery: int
    mark: str = ""


def _known(kind: type[R], raw: Mapping[str, Any]) -> R:
    names = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in raw.items() if name in names})


@dataclass(frozen=True)
class CommitRecord:
    """What a commit says about itself, stored inside that commit.

    Attributes:
        run_id: The run that wrote it.
        token: Identity of the write; a repeat of the same input has the same token.
        inputs: Version consumed of each upstream table, by `layer.table`.
        files: Source files taken in by a bronze append.
        code: Version of the platform that wrote it.
        contract: Fingerprint of the table's configuration and SQL.
        rows: Row accounting: ingested, published, deduplicated, quarantined, rejected.
        as_of: Business instant that the caller gave, ISO 8601; empty where the domain's own was taken.
        notes: Further facts by key; `tasks.notes` reads and writes them, but for those with a property here.
    """

    run_id: str
    token: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    files: tuple[SourceFile, ...] = ()
    code: str = ""
    contract: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    as_of: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_checkpoint(self) -> bool:
        """Whether the commit changed no row, and only records how far its table has come."""
        return bool(self.notes.get(_CHECKPOINT))

    @property
    def changes_columns(self) -> bool:
        """Whether the commit changed the table's columns, and carries an earlier record on."""
        return _EVOLVED in self.notes

    @property
    def rollback(self) -> Rollback | None:
        """What a rollback restored; None for other commits."""
        note = self.notes.get(_ROLLBACK)
        return Rollback(Version(note["to"]), Version(note.get("of", ""))) if note else None

    @property
    def copied(self) -> str | None:
        """The version of an earlier copy that a commit stands for which a move to another format made."""
        return self.notes.get(_COPY)

    def as_checkpoint(self) -> Self:
        """The record of a commit that changes no row."""
        return self._noting({_CHECKPOINT: True})

    def as_evolution(self, changes: Iterable[object]) -> Self:
        """The record of a commit that changes columns: a checkpoint, as no row says anything new."""
        return self._noting({_CHECKPOINT: True, _EVOLVED: [repr(change) for change in changes]})

    def as_rollback(self, to: Version, of: Version) -> Self:
        """The record of a rollback."""
        return self._noting({_ROLLBACK: Rollback(to, of)._asdict()})

    def as_copy(self, version: str) -> Self:
        """The record of the commit that stands for a version of an earlier copy."""
        return self._noting({_COPY: version}, but=(_ROLLBACK,))

    def carried(self) -> Self:
        """The record for a later commit that leaves the same state: token, inputs and contract stay.

        Files, row counts and what storage notes tell of one commit alone.
        """
        own = (_CHECKPOINT, _EVOLVED, _ROLLBACK, _COPY)
        return replace(self._noting({}, but=own), files=(), rows={})

    def _noting(self, facts: Mapping[str, object], but: tuple[str, ...] = ()) -> Self:
        kept = {key: value for key, value in self.notes.items() if key not in but}
        return replace(self, notes={**kept, **facts})

    def to_json(self) -> str:
        """Serialise with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | None) -> CommitRecord | None:
        """Read a record back; None where the text is none of ours.

        Fields that a newer version of the platform added are passed over, so that a table's position
        survives an older one.
        """
        if not text:
            return None
        try:
            raw = json.loads(text)
            files = tuple(_known(SourceFile, f) for f in raw.pop("files", ()))
            return replace(_known(cls, raw), files=files)
        except (ValueError, TypeError, AttributeError):
            return None


@dataclass(frozen=True)
class Snapshot:
    """One entry of a table's history."""

    version: Version
    committed_at: datetime
    operation: str
    record: CommitRecord | None

    @property
    def restored(self) -> Version | None:
        """The version that this commit made current again; None where it is not a rollback."""
        rollback = self.record.rollback if self.record is not None else None
        return rollback.to if rollback else None


def lineage(history: Iterable[Snapshot]) -> Iterator[Snapshot]:
    """The commits behind the first one's rows, of a history newest first.

    Those that a rollback undid are left out; the rollback itself is there, followed by what it restored.
    """
    wanted: Version | None = None
    for entry in history:
        if wanted in (None, entry.version):
            wanted = entry.restored
            yield entry


@dataclass(frozen=True)
class Commit:
    """Result of a write.

    Attributes:
        version: Position of the table after the write.
        operation: append, merge, overwrite, replace, delete, checkpoint or rollback.
        token: Token of the record inside the commit.
        repeated: True when the token was committed before and nothing was written.
    """

    version: Version
    operation: str
    token: str
    repeated: bool = False


@dataclass(frozen=True)
class TableStats:
    """Size of a table's current version, read from its log."""

    rows: int
    files: int
    bytes: int
