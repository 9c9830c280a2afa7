"""The log of a Parquet table: one manifest per commit, which appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from storage.disk import creating, sync
from storage.errors import CommitConflictError, TerminalError

COMMITS = "_commits"
DATA = "data"


@dataclass(frozen=True)
class DataFile:
    """A file of rows; its path counts from the table's folder."""

    path: str
    rows: int
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """One commit.

    Attributes:
        version: Its number, counted from 0.
        committed_at: UTC instant, ISO 8601.
        operation: create, append, checkpoint, evolve or rollback.
        columns: Name and type of each column.
        added: Files that it adds to those of `base`.
        base: The version on which it stands; None for the first.
        record: Commit record as JSON; None where there is none.
    """

    version: int
    committed_at: str
    operation: str
    columns: Mapping[str, str]
    added: tuple[DataFile, ...] = ()
    base: int | None = None
    record: str | None = None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a manifest back."""
        raw = json.loads(text)
        return cls(**raw | {"added": tuple(DataFile(**file) for file in raw["added"])})


@dataclass(frozen=True)
class Log:
    """The manifests of the table in a folder."""

    folder: Path

    def exists(self) -> bool:
        """Whether the table was created."""
        return self._file(0).is_file()

    def manifests(self) -> list[Manifest]:
        """Every commit, oldest first; none where there is no table.

        Raises:
            TerminalError: A manifest cannot be read.
        """
        found: list[Manifest] = []
        while (file := self._file(len(found))).is_file():
            try:
                found.append(Manifest.from_json(file.read_text("utf-8")))
            except (ValueError, TypeError, KeyError) as error:
                raise TerminalError(
                    f"{file} is damaged: {error}",
                    advice="Restore the file, or load the table again from its source.",
                ) from error
        self._refuse_gap(len(found))
        return found

    def _refuse_gap(self, number: int) -> None:
        """A manifest beyond a missing one: the table would be read as an older version."""
        missing = self._file(number)
        later = [file.name for file in missing.parent.glob("*.json") if file.name > missing.name]
        if later and not missing.is_file():  # else it was committed meanwhile
            raise TerminalError(
                f"{missing} is missing, {min(later)} is there",
                advice="Restore the file, or load the table again from its source.",
            )

    def commit(self, manifest: Manifest) -> None:
        """Make a manifest visible under its number.

        Raises:
            CommitConflictError: Another writer has taken the number.
        """
        file = self._file(manifest.version)
        try:
            with creating(file) as partial:
                partial.write_text(json.dumps(asdict(manifest)), "utf-8")
        except FileExistsError:
            raise CommitConflictError(
                f"{self.folder}: another writer committed version {manifest.version} first"
            ) from None

    def sync(self, paths: Iterable[str]) -> None:
        """Let files of the table, and their names, outlive a loss of power."""
        files = [self.folder / path for path in paths]
        for file in files:
            sync(file)
        for parent in {file.parent for file in files} | {self.folder / DATA, self.folder}:
            if parent.is_dir():
                sync(parent)

    def _file(self, version: int) -> Path:
        return self.folder / COMMITS / f"{version:012d}.json"
