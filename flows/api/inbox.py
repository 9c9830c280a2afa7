"""Takes accepted records from many requests and writes them with few syncs of the disk."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from conf.schema import Api
from flows.api.index import Sealed, SegmentOutcomes
from flows.api.segments import Record, Segments
from storage.errors import TransientError

REFRESH_SECONDS = 5.0
"""How often bronze is asked which segments it has."""
GROUP = 200
"""Requests that share a sync at most."""

Ask = Callable[[Sequence[Sealed]], SegmentOutcomes]
"""Which of these segments bronze has, and what a person rejected so far."""
Entry = tuple[Sequence[Record], "Future[None]"]
_LOG = logging.getLogger(__name__)


class InboxStoppedError(TransientError):
    """Records are not written any more."""


class Inbox:
    """A thread that writes to the segments of one table, so that requests never wait for one another's sync.

    A second thread asks bronze, which takes as long as the lake takes: acknowledgements never wait for it.

    Args:
        segments: Where the records go; nobody else may use it.
        settings: When a segment is sealed.
        ask: Tells what became of segments. While it fails, all are counted that waited before.
    """

    def __init__(self, segments: Segments, settings: Api, ask: Ask) -> None:
        self._segments, self._settings, self._ask = segments, settings, ask
        self._queue: queue.Queue[Entry | None] = queue.Queue()
        self._guard = threading.Lock()  # of the next three
        self._queued = 0
        self._stopped = False
        self._outcomes: SegmentOutcomes | None = None
        self._opened: float | None = None
        self._closing = threading.Event()
        self._waiting: Sequence[Sealed] = segments.waiting()
        self._written = sum(part.rows for part in self._waiting)
        self._writer = threading.Thread(target=self._write_all, name="inbox", daemon=True)
        self._asker = threading.Thread(target=self._ask_always, name="inbox-bronze", daemon=True)
        self._writer.start()
        self._asker.start()

    @property
    def healthy(self) -> bool:
        """Whether records can be taken."""
        return not self._stopped

    @property
    def waiting_rows(self) -> int:
        """Records that bronze does not have yet, those included that are being written."""
        return self._written + self._queued

    def put(self, records: Sequence[Record]) -> Future[None]:
        """Have the records written; done once they are on the disk.

        Raises:
            InboxStoppedError: Nothing is written any more.
        """
        future: Future[None] = Future()
        with self._guard:
            if self._stopped:
                raise _stopped()
            self._queued += len(records)
            self._queue.put((records, future))
        return future

    def close(self) -> None:
        """Write what waits, seal it, and end."""
        self._closing.set()
        self._queue.put(None)
        self._writer.join()
        self._asker.join(REFRESH_SECONDS)
        self._segments.close()

    def _write_all(self) -> None:
        try:
            while (group := self._group()) is not None:
                if group:
                    self._write(group)
                self._attempt(
                    "a file of records could not be moved to landing", self._seal_when_due
                )
                self._attempt("waiting records could not be counted", self._count)
        finally:
            self._refuse_the_rest()

    def _group(self) -> list[Entry] | None:
        """The requests that wait; none after a second without one, None at the end."""
        found: list[Entry] = []
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

    def _write(self, group: Sequence[Entry]) -> None:
        """Write the records of all requests that nobody gave up, and tell each."""
        live = [entry for entry in group if entry[1].set_running_or_notify_cancel()]
        failure: Exception | None = None
        try:
            new = self._segments.write([records for records, _ in live])
            if new and self._opened is None:
                self._opened = time.monotonic()
            self._written += new
        except Exception as error:  # noqa: BLE001 - each request tells its sender
            failure = error
        with self._guard:
            self._queued -= sum(len(records) for records, _ in group)
        for _, future in live:
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure)

    def _seal_when_due(self) -> None:
        if self._opened is None:
            return
        age = time.monotonic() - self._opened
        full = self._segments.open_rows >= self._settings.seal_records
        if full or age >= self._settings.seal_seconds:
            self._opened = time.monotonic()  # where it fails, the next attempt is as far away
            self._segments.seal()
            self._opened = None

    def _count(self) -> None:
        with self._guard:
            outcomes, self._outcomes = self._outcomes, None
        if outcomes is not None:
            self._segments.note_outcomes(outcomes)
        self._waiting = self._segments.waiting()
        self._written = sum(part.rows for part in self._waiting) + self._segments.open_rows

    def _ask_always(self) -> None:
        while not self._closing.is_set():
            self._attempt("bronze could not be asked which records it has", self._ask_once)
            self._closing.wait(REFRESH_SECONDS)

    def _ask_once(self) -> None:
        outcomes = self._ask(self._waiting)
        with self._guard:
            self._outcomes = outcomes

    def _refuse_the_rest(self) -> None:
        with self._guard:
            self._stopped = True
        while not self._queue.empty():
            entry = self._queue.get_nowait()
            if entry is not None and entry[1].set_running_or_notify_cancel():
                entry[1].set_exception(_stopped())

    @staticmethod
    def _attempt(says: str, call: Callable[[], None]) -> None:
        """A failure is logged and the call is made again later: neither thread ends of it."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever the disk or the lake raises
            _LOG.warning("%s: %s", says, error)


def _stopped() -> InboxStoppedError:
    return InboxStoppedError("records are not written any more", advice="Restart lakehouse api.")
