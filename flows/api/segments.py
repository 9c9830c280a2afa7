"""Files of accepted records: written and synced before they are acknowledged, whole before they are seen.

A segment grows in the inbox, a hidden folder of the landing folder, and moves to the landing folder when it
is sealed. The segments are the truth; the index of ids beside them can be made from them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from flows.api.index import NAME, Index, Sealed, SegmentOutcomes
from storage.disk import sync
from storage.errors import ConfigurationError, InputError, StorageDeniedError

INBOX = ".inbox"
OPEN = ".part"
"""Ending of a segment that grows. Its name begins with a dot, so that no pattern of a source matches it."""
END, MORE = b"\n", b" \n"
"""Endings of a batch's last line and of each line before it. JSON takes both for white space; a batch whose
last line is missing was cut off."""


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
        InputError: The index has to be made from files of which one is not whole.
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
        self._index = Index.open(self._inbox / NAME, self._landed())
        self._open: _Open | None = None
        self._recover()

    @property
    def open_rows(self) -> int:
        """Records of the segment that grows."""
        return self._open.rows if self._open else 0

    def known(self, record_id: str) -> bool:
        """Whether a record of this id was accepted before."""
        if self._open is not None and record_id in self._open.ids:
            return True
        return self._index.known(record_id)

    def write(self, batches: Sequence[Sequence[Record]]) -> int:
        """Write the records that are new and sync them to the disk; how many these were.

        After a kill each batch is there whole or not at all.

        Raises:
            OSError: The disk did not take them; none of them stays.
        """
        seen: set[str] = set()
        data = b"".join(_framed(self._fresh(batch, seen)) for batch in batches)
        if seen:
            if self._open is None:
                self._open = _Open.new(self._inbox, self._file)
            self._open.write(data, seen)
        return len(seen)

    def seal(self) -> None:
        """Move the segment that grows to the landing folder, where the next run finds it.

        Raises:
            OSError: It could not be moved; it stays open.
            sqlite3.Error: Its ids could not be stored; it stays open.
        """
        part = self._open
        if part is None:
            return
        if part.rows:
            self._land(part.path, part.ids, part.digest.hexdigest(), part.rows)
        else:  # the disk took none of its records
            part.path.unlink()
        self._open = None
        part.close()
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

    def _recover(self) -> None:
        """Seal what a process left behind, without a last batch that it never acknowledged."""
        for path in sorted(self._inbox.glob(f".*{OPEN}")):
            content = path.read_bytes()
            lines = content.splitlines(keepends=True)
            while lines and (not lines[-1].endswith(END) or lines[-1].endswith(MORE)):
                lines.pop()
            whole = b"".join(lines)
            if len(whole) < len(content):
                os.truncate(path, len(whole))
            if lines:
                ids = [self._id_of(line) for line in lines]
                self._land(path, ids, hashlib.sha256(whole).hexdigest(), len(lines))
            else:
                path.unlink()
        sync(self._landing)

    def _land(self, path: Path, ids: Iterable[str], sha256: str, rows: int) -> None:
        """Ids first: a kill in between leaves a segment that is landed again with the same name."""
        name = path.name.removeprefix(".").removesuffix(OPEN)
        self._index.add(Sealed(name, sha256, rows), ids)
        sync(path)
        path.rename(self._landing / name)

    def _landed(self) -> Iterator[tuple[Sealed, Sequence[str]]]:
        """Each sealed segment that is in the landing folder, oldest first, with its ids."""
        own = re.compile(re.escape(self._file) + r"_\d{8}T\d{12}\.jsonl")
        for path in sorted(p for p in self._landing.iterdir() if own.fullmatch(p.name)):
            content = path.read_bytes()
            try:
                ids = [self._id_of(line) for line in content.splitlines()]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{path}: a line is not a record that was accepted: {error}",
                    advice="Fix the file or move it out of the landing folder.",
                ) from None
            yield Sealed(path.name, hashlib.sha256(content).hexdigest(), len(ids)), ids


def _framed(lines: Iterable[bytes]) -> bytes:
    """The lines of one batch, the last one marked as such."""
    text = MORE.join(lines)
    return text + END if text else b""


class _Open:
    """The segment that grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids: set[str] = set()
        self.rows = 0
        self.digest = hashlib.sha256()
        self._size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        sync(path.parent)

    @classmethod
    def new(cls, inbox: Path, file: str) -> _Open:
        return cls(inbox / f".{file}_{datetime.now(UTC):%Y%m%dT%H%M%S%f}.jsonl{OPEN}")

    def write(self, data: bytes, ids: set[str]) -> None:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self.digest.update(data)
        self.ids |= ids
        self.rows += len(ids)

    def close(self) -> None:
        os.close(self._file)
