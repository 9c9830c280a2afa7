"""Where each table of a lake is: one small file for every table that was moved to another format.

A table that was never moved has no such file and is where the configuration says. The file is replaced in one
step, so a move is seen whole or not at all. A copy that a move makes has a number of its own, and the
versions of the copies after the first carry it, so that a version says of which copy it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from storage.disk import write_text
from storage.errors import TerminalError
from storage.types import Snapshot, TableRef, Version

FOLDER = "_formats"


@dataclass(frozen=True)
class Copy:
    """One table of one format that holds, or held, the rows of a table.

    Attributes:
        format: Name of its format.
        number: 0 for the one that the configuration chose, counted up with each further one.
    """

    format: str
    number: int = 0

    def shown(self, native: Version) -> Version:
        """A version of this copy as everyone but its adapter sees it."""
        return Version(f"{self.number}:{native}") if self.number else native

    def native(self, shown: Version) -> Version:
        """A version of this copy as its adapter has it; that of another copy stays as it is."""
        if not self.owns(shown):
            return shown
        return Version(shown.partition(":")[2]) if self.number else shown

    def owns(self, shown: str) -> bool:
        """Whether a version is one of this copy."""
        number, colon, _ = shown.partition(":")
        return number == str(self.number) if colon else self.number == 0


@dataclass(frozen=True)
class Placement:
    """Where a table is, and how positions in its earlier copies are found again.

    Attributes:
        current: The copy that is read and written.
        kept: The copy before, which an undo goes back to.
        target: A copy that is under way.
        leaving: A copy that is being removed.
        last: The highest number that a copy was given.
        positions: For a version of an earlier copy the same state in the current one.
    """

    current: Copy
    kept: Copy | None = None
    target: Copy | None = None
    leaving: Copy | None = None
    last: int = 0
    positions: Mapping[str, str] = field(default_factory=dict)

    def here(self, version: Version) -> Version:
        """The same state in the current copy; a version that no copy is known by stays as it is."""
        if self.current.owns(version):
            return version
        return Version(self.positions.get(version, version))

    def native(self, version: Version) -> Version:
        """A version, whichever copy it is of, as the current copy's adapter has it."""
        return self.current.native(self.here(version))


class Placements:
    """The placements of a lake's tables."""

    def __init__(self, root: Path, formats: Mapping[str, str], default: str) -> None:
        """Know a lake.

        Args:
            root: Folder of the lake.
            formats: The format that the configuration chose for a layer, by its name.
            default: That of the other layers.
        """
        self._folder = root / FOLDER
        self._formats, self._default = formats, default

    def of(self, ref: TableRef) -> Placement:
        """Where a table is.

        Raises:
            TerminalError: Its file is damaged.
        """
        copies = ("current", "kept", "target", "leaving")
        try:
            raw = json.loads(self._file(ref).read_text("utf-8"))
            return Placement(**raw | {name: Copy(**raw[name]) for name in copies if raw[name]})
        except FileNotFoundError:
            return Placement(Copy(self.configured(ref.layer)))
        except (ValueError, TypeError, KeyError) as error:
            raise TerminalError(
                f"{ref.label}: {self._file(ref)}, which says where the table is, is damaged: {error}",
                advice="Restore the file; without it the table would be looked for where it was before.",
            ) from error

    def moved(self, database: str) -> dict[str, Placement]:
        """The tables of a database that were moved, or are about to be, by name."""
        files = (self._folder / database).glob("*.json")
        domain, _, layer = database.rpartition("_")
        return {f.stem: self.of(TableRef(domain, layer or database, f.stem)) for f in files}

    def configured(self, layer: str) -> str:
        """The format that the configuration chose for a layer."""
        return self._formats.get(layer, self._default)

    def write(self, ref: TableRef, placement: Placement) -> None:
        """Let a table be there from now on.

        Raises:
            StorageDeniedError: The lake cannot be written.
            StorageFullError: The disk has no room left.
        """
        write_text(self._file(ref), json.dumps(asdict(placement), indent=2, sort_keys=True))

    def seen(self, ref: TableRef, history: Sequence[Snapshot]) -> list[Snapshot]:
        """A table's own history with the versions that everyone sees, of itself and of what it read."""
        shown, known = self.of(ref).current.shown, {ref: self.of(ref)}
        found = []
        for entry in history:
            record = entry.record
            if record is not None:
                if record.rollback is not None:
                    record = record.as_rollback(*map(shown, record.rollback))
                record = replace(record, inputs=self._inputs(ref, record.inputs, known))
            found.append(replace(entry, version=shown(entry.version), record=record))
        return found

    def _inputs(
        self, ref: TableRef, inputs: Mapping[str, str], known: dict[TableRef, Placement]
    ) -> dict[str, str]:
        found = {}
        for label, version in inputs.items():
            source = TableRef.parse(ref.domain, label)
            if source not in known:
                known[source] = self.of(source)
            found[label] = str(known[source].here(Version(version)))
        return found

    def _file(self, ref: TableRef) -> Path:
        return self._folder / ref.database / f"{ref.name}.json"
