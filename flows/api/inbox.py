"""Takes accepted records from many requests and writes them with few syncs of the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from conf.schema import Api
from flows.api.index import Sealed, SegmentOutcomes
from flows.api.segments import Record, Segments
from storage.errors import TransientError

REFRESH_SECONDS = 5.0
"""How often bronze is asked which segments it has."""
TICK_SECONDS = 1.0
"""How often the age of the open segment is looked at."""

Ask = Callable[[Sequence[Sealed]], SegmentOutcomes]
"""Which of these segments bronze has, and what a person rejected so far."""
Entry = tuple[Sequence[Record], "Future[None]"]
_LOG = logging.getLogger(__name__)


class InboxStoppedError(TransientError):
    """Records are not written any more."""


class Inbox:
    """A thread that writes to the segments of one table, so that requests never wait for one another's sync.

    Another thread asks bronze, which takes as long as the lake takes: acknowledgements never wait for it.

    Args:
        segments: Where the records go; nobody else may use it.
        settings: When a segment is sealed.
        ask: Tells what became of segments. While it fails, all are counted that waited before.
    """

    def __init__(self, segments: Segments, settings: Api, ask: Ask) -> None:
        self._segments, self._settings, self._ask = segments, settings, ask
        self._queue: list[Entry] = []  # grows at its end, while the writer takes from its beginning
        self._written = _rows(segments)
        self._opened: float | None = None
        self._closing = threading.Event()
        self._writer = ThreadPoolExecutor(1, "inbox")
        self._clock = threading.Thread(target=self._seal_in_time, name="inbox-clock", daemon=True)
        self._asker = threading.Thread(target=self._ask_always, name="inbox-bronze", daemon=True)
        self._clock.start()
        self._asker.start()

    @property
    def healthy(self) -> bool:
        """Whether records can be taken."""
        return not self._closing.is_set()

    @property
    def waiting_rows(self) -> int:
        """Records that bronze does not have yet, those included that are being written."""
        return self._written + sum(len(records) for records, _ in self._queue[:])

    def put(self, records: Sequence[Record]) -> Future[None]:
        """Have the records written; done once they are on the disk.

        Raises:
            InboxStoppedError: Nothing is written any more.
        """
        future: Future[None] = Future()
        self._queue.append((records, future))
        try:
            self._writer.submit(self._write)
        except RuntimeError:
            raise InboxStoppedError(
                "records are not written any more", advice="Restart lakehouse api."
            ) from None
        return future

    def close(self) -> None:
        """Write what waits, seal it, and end."""
        self._closing.set()
        self._clock.join()
        self._writer.shutdown()
        self._asker.join(REFRESH_SECONDS)
        self._segments.close()

    def _write(self) -> None:
        """Write the records of all requests that wait and that nobody gave up, and tell each."""
        group = self._queue[:]
        live = [entry for entry in group if entry[1].set_running_or_notify_cancel()]
        failure: Exception | None = None
        try:
            new = self._segments.write([records for records, _ in live])
            if new and self._opened is None:
                self._opened = time.monotonic()
            self._written += new
        except Exception as error:  # noqa: BLE001 - each request tells its sender
            failure = error
        del self._queue[: len(group)]
        for _, future in live:
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure)
        self._seal_when_due()

    def _seal_when_due(self) -> None:
        if self._opened is None:
            return
        age = time.monotonic() - self._opened
        full = self._segments.open_rows >= self._settings.seal_records
        if full or age >= self._settings.seal_seconds:
            self._opened = time.monotonic()  # where it fails, the next attempt is as far away
            self._attempt("a file of records could not be moved to landing", self._seal)

    def _seal(self) -> None:
        self._segments.seal()
        self._opened = None

    def _seal_in_time(self) -> None:
        while not self._closing.wait(TICK_SECONDS):
            self._writer.submit(self._seal_when_due)

    def _ask_always(self) -> None:
        while self.healthy:
            self._attempt("bronze could not be asked which records it has", self._ask_once)
            self._closing.wait(REFRESH_SECONDS)

    def _ask_once(self) -> None:
        outcomes = self._ask(self._writer.submit(self._segments.waiting).result())
        self._writer.submit(self._note, outcomes).result()

    def _note(self, outcomes: SegmentOutcomes) -> None:
        self._segments.note_outcomes(outcomes)
        self._written = _rows(self._segments)

    def _attempt(self, says: str, call: Callable[[], None]) -> None:
        """A failure is logged, and the call is made again later."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever the disk or the lake raises
            if self.healthy:
                _LOG.warning("%s: %s", says, error)


def _rows(segments: Segments) -> int:
    """Records that are on the disk and wait for bronze."""
    return segments.open_rows + sum(part.rows for part in segments.waiting())
