"""Takes accepted records from many requests and writes them with few syncs of the disk."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future

from conf.schema import Api
from flows.api.segments import Record, Sealed, Segments

REFRESH_SECONDS = 5.0
"""How often bronze is asked at most which segments it has."""
GROUP = 200
"""Requests that share a sync at most."""

Waiting = Callable[[Sequence[Sealed]], Collection[str]]
"""Of these segments, the names of those that bronze has or that a person rejected."""


class Inbox:
    """A thread that writes to the segments of one table, so that requests never wait for one another's sync.

    Args:
        segments: Where the records go; nobody else may use it.
        settings: When a segment is sealed.
        done: Tells which segments wait no longer.
    """

    def __init__(self, segments: Segments, settings: Api, done: Waiting) -> None:
        self._segments, self._settings, self._done = segments, settings, done
        self._queue: queue.Queue[tuple[Sequence[Record], Future[int]] | None] = queue.Queue()
        self._opened: float | None = None
        self._asked = 0.0
        self.waiting_rows = self._count()
        self._thread = threading.Thread(target=self._work, name="inbox", daemon=True)
        self._thread.start()

    @property
    def healthy(self) -> bool:
        """Whether records can be taken."""
        return self._thread.is_alive()

    def put(self, records: Sequence[Record]) -> Future[int]:
        """Have the records written; done once they are on the disk, with the number that was new."""
        future: Future[int] = Future()
        self._queue.put((records, future))
        return future

    def close(self) -> None:
        """Write what waits, seal it, and end."""
        self._queue.put(None)
        self._thread.join()
        self._segments.close()

    def _work(self) -> None:
        while True:
            group = self._group()
            if group is None:
                return
            if group:
                self._write(group)
            self._seal_when_due()
            self.waiting_rows = self._count()

    def _group(self) -> list[tuple[Sequence[Record], Future[int]]] | None:
        """The requests that wait; none after a second without one, None at the end."""
        found: list[tuple[Sequence[Record], Future[int]]] = []
        try:
            entry = self._queue.get(timeout=1.0)
            while entry is not None:
                found.append(entry)
                if len(found) == GROUP:
                    return found
                entry = self._queue.get_nowait()
        except queue.Empty:
            return found
        if found:
            self._queue.put(None)  # the end comes after these
            return found
        return None

    def _write(self, group: Sequence[tuple[Sequence[Record], Future[int]]]) -> None:
        try:
            new = self._segments.write([r for records, _ in group for r in records])
        except Exception as error:  # noqa: BLE001 - each request tells its sender
            for _, future in group:
                future.set_exception(error)
            return
        if new and self._opened is None:
            self._opened = time.monotonic()
        for _, future in group:
            future.set_result(new)

    def _seal_when_due(self) -> None:
        if self._opened is None:
            return
        age = time.monotonic() - self._opened
        full = self._segments.open_rows >= self._settings.seal_records
        if full or age >= self._settings.seal_seconds:
            self._segments.seal()
            self._opened = None

    def _count(self) -> int:
        """Records that bronze does not have yet."""
        sealed = self._segments.sealed()
        if sealed and time.monotonic() - self._asked > REFRESH_SECONDS:
            self._asked = time.monotonic()
            gone = set(self._done(sealed))
            self._segments.forget(gone)
            sealed = [part for part in sealed if part.name not in gone]
        return sum(part.rows for part in sealed) + self._segments.open_rows
