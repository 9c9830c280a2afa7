"""Files of accepted records: written and synced before they are acknowledged, whole before they are seen.

A segment grows in the inbox, a hidden folder of the landing folder, and moves to the landing folder when it
is sealed. The segments are the truth; the index of ids beside them can be made from them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from flows.api.index import NAME, Index, Sealed, SegmentOutcomes
from storage.disk import sync
from storage.errors import ConfigurationError, InputError, StorageDeniedError
from tasks.landing.content import file_sha256

INBOX = ".inbox"
OPEN = ".part"
"""Ending of a segment that grows. Its name begins with a dot, so that no pattern of a source matches it."""
END, MORE = b"\n", b" \n"
"""Endings of a batch's last line and of each line before it. JSON takes both for white space; a batch whose
last line is missing was cut off."""
_LAST_END = re.compile(rb"(?<! )\n")


@dataclass(frozen=True)
class Record:
    """An accepted record: its id and its line of JSON."""

    id: str
    line: bytes


class Segments:
    """The segments of one bronze table. One process and one thread at a time writes them.

    Args:
        landing: The landing folder.
        file: How the names of sealed segments begin.
        id_of: The id in a line, for segments that a process left behind.

    Raises:
        ConfigurationError: Another process serves the table.
        StorageDeniedError: The inbox cannot be written.
        InputError: A segment whose ids are needed is not whole.
    """

    def __init__(self, landing: Path, file: str, id_of: Callable[[bytes], str]) -> None:
        self._landing, self._file, self._id_of = landing, file, id_of
        self._inbox = landing / INBOX / file
        try:
            self._inbox.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._inbox / "lock", thread_local=False)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ConfigurationError(
                f"another process takes records into {self._inbox}",
                advice="Stop it, or send the records there: a table has one API.",
            ) from None
        except OSError as error:
            raise StorageDeniedError(
                f"{self._inbox} cannot be written: {error.strerror}",
                advice="Give this user write access to the landing folder.",
            ) from error
        self._index = Index(self._inbox / NAME, self._landed())
        self._part: Path | None = None
        self._ids: set[str] = set()
        self._recover()

    @property
    def open_rows(self) -> int:
        """Records of the segment that grows."""
        return len(self._ids)

    def known(self, record_id: str) -> bool:
        """Whether a record of this id was accepted before."""
        return record_id in self._ids or self._index.known(record_id)

    def write(self, batches: Sequence[Sequence[Record]]) -> int:
        """Write the records that are new and sync them to the disk; how many these were.

        After a kill each batch is there whole or not at all.

        Raises:
            OSError: The disk did not take them; none of them stays.
        """
        seen: set[str] = set()
        data = b"".join(_framed(self._fresh(batch, seen)) for batch in batches)
        if seen:
            self._part = self._part or self._begun()
            _append(self._part, data)
            self._ids |= seen
        return len(seen)

    def seal(self) -> None:
        """Move the segment that grows to the landing folder, where the next run finds it.

        Raises:
            OSError: It could not be moved; it stays open.
            InputError: It could not be read; it stays open.
            sqlite3.Error: Its ids could not be stored; it stays open.
        """
        if self._part is not None and self._ids:
            self._land(self._part, self._ids)
            self._part, self._ids = None, set()
            sync(self._landing)

    def waiting(self) -> list[Sealed]:
        """The sealed segments that bronze is not known to have."""
        return self._index.waiting()

    def note_outcomes(self, outcomes: SegmentOutcomes) -> None:
        """Note what became of segments; the ids of a rejected one may be sent again."""
        self._index.note_outcomes(outcomes)

    def close(self) -> None:
        """Seal what is open and let another process write."""
        try:
            self.seal()
        finally:
            self._index.close()
            self._lock.release()

    def _fresh(self, batch: Iterable[Record], seen: set[str]) -> Iterator[bytes]:
        for record in batch:
            if record.id not in seen and not self.known(record.id):
                seen.add(record.id)
                yield record.line

    def _begun(self) -> Path:
        part = self._inbox / f".{self._file}_{datetime.now(UTC):%Y%m%dT%H%M%S%f}.jsonl{OPEN}"
        part.touch(0o640, exist_ok=False)
        sync(self._inbox)
        return part

    def _recover(self) -> None:
        """Seal what a process left behind, without a last batch that it never acknowledged."""
        for path in sorted(self._inbox.glob(f".*{OPEN}")):
            ends = [found.end() for found in _LAST_END.finditer(path.read_bytes())]
            if ends:
                os.truncate(path, ends[-1])
                self._land(path, self._ids_in(path))
            else:
                path.unlink()
        sync(self._landing)

    def _land(self, path: Path, ids: Collection[str]) -> None:
        """Ids first: a kill in between leaves a segment that is landed again with the same name."""
        name = path.name.removeprefix(".").removesuffix(OPEN)
        self._index.add(Sealed(name, file_sha256(path), len(ids)), ids)
        sync(path)
        path.rename(self._landing / name)

    def _landed(self) -> Iterator[tuple[Sealed, Collection[str]]]:
        """Each sealed segment that is in the landing folder, oldest first, with its ids."""
        own = re.compile(re.escape(self._file) + r"_\d{8}T\d{12}\.jsonl")
        for path in sorted(p for p in self._landing.iterdir() if own.fullmatch(p.name)):
            ids = self._ids_in(path)
            yield Sealed(path.name, file_sha256(path), len(ids)), ids

    def _ids_in(self, path: Path) -> list[str]:
        try:
            return [self._id_of(line) for line in path.read_bytes().splitlines()]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: a line is not a record that was accepted: {error}",
                advice="Fix the file or move it out of the landing folder.",
            ) from None


def _framed(lines: Iterable[bytes]) -> bytes:
    """The lines of one batch, the last one marked as such."""
    text = MORE.join(lines)
    return text + END if text else b""


def _append(path: Path, data: bytes) -> None:
    """Add to a file and sync it; where the disk does not take it, nothing of it stays."""
    size = path.stat().st_size
    try:
        with path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.truncate(path, size)
        raise
