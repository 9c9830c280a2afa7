"""What a machine remembers of the objects that it has read: a shortcut that may be lost at any time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from tasks.sources.landing import StoredObject


@dataclass
class Seen:
    """Hashes of objects by name, each with the mark of the content that has it."""

    file: Path | None
    _hashes: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.file is None:
            return
        try:
            self._hashes = dict(json.loads(self.file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            self._hashes = {}

    def sha256(self, found: StoredObject) -> str | None:
        """The hash of the object's content where it is known."""
        mark, sha256 = self._hashes.get(found.name, ["", ""])
        return sha256 if found.mark and mark == _marked(found) else None

    def remember(self, found: StoredObject, sha256: str) -> None:
        """Note the hash of what was read."""
        if found.mark:
            self._hashes[found.name] = [_marked(found), sha256]

    def save(self, objects: list[StoredObject]) -> None:
        """Write what is known of these objects; those that are gone are forgotten."""
        if self.file is None:
            return
        kept = {o.name: self._hashes[o.name] for o in objects if o.name in self._hashes}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_name(f"{self.file.name}.partial")
        partial.write_text(json.dumps(kept), encoding="utf-8")
        partial.replace(self.file)


def _marked(found: StoredObject) -> str:
    return f"{found.bytes}:{found.mark}"
