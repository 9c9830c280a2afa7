"""What a machine remembers of the objects that it has read: a shortcut that may be lost at any time."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from storage.disk import write_text
from tasks.landing.folders import StoredObject


@dataclass
class Seen:
    """Hashes of objects by name, each with the size and ETag of the content that has it."""

    file: Path | None
    _hashes: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._hashes = _read(self.file)

    def sha256(self, found: StoredObject) -> str | None:
        """The hash of the object's content where it is known."""
        content, sha256 = self._hashes.get(found.name, ["", ""])
        return sha256 if found.etag and content == _content(found) else None

    def remember(self, found: StoredObject, sha256: str) -> None:
        """Note the hash of what was read."""
        if found.etag:
            self._hashes[found.name] = [_content(found), sha256]

    def forget(self, found: StoredObject) -> None:
        """Let the object be read again: what was noted of it does not hold."""
        self._hashes.pop(found.name, None)
        if self.file is not None:
            write_text(self.file, json.dumps(self._hashes))

    def save(self, objects: list[StoredObject]) -> None:
        """Write what is known of these objects, by another process too; those that are gone are forgotten."""
        if self.file is None:
            return
        known = _read(self.file) | self._hashes
        kept = {o.name: known[o.name] for o in objects if o.name in known}
        if kept != _read(self.file):
            write_text(self.file, json.dumps(kept))


def _read(file: Path | None) -> dict[str, list[str]]:
    """What a file holds; nothing where it is damaged."""
    try:
        found = json.loads(file.read_text("utf-8")) if file is not None else {}
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: entry for name, entry in found.items()
        if isinstance(entry, list) and [type(part) for part in entry] == [str, str]
    }  # fmt: skip


def _content(found: StoredObject) -> str:
    return f"{found.bytes}:{found.etag}"
