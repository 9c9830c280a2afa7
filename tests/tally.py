"""What a long run has done so far, kept in a file of JSON lines, so that it can be stopped and go on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeAlias

Entry: TypeAlias = dict[str, Any]


class Tally:
    """Entries in the order in which they were added, each on disk before `add` returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        whole, _, torn = path.read_bytes().rpartition(b"\n")
        if torn:
            with path.open("r+b") as file:
                file.truncate(len(whole) + 1 if whole else 0)
        self.entries: list[Entry] = [json.loads(line) for line in whole.splitlines()]
        self._path = path

    def add(self, kind: str, **values: Any) -> None:
        """Append an entry."""
        entry = {"kind": kind, **values}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.entries.append(entry)

    def of(self, kind: str, **values: Any) -> list[Entry]:
        """The entries of a kind with these values."""
        return [
            entry
            for entry in self.entries
            if entry["kind"] == kind and values.items() <= entry.items()
        ]
