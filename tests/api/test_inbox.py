"""The thread that writes records: what fails around it does not end it, and nobody waits for what is lost."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest

from conf.schema import Api
from flows.api import inbox as module
from flows.api.app import make_app
from flows.api.inbox import Inbox, InboxStoppedError
from flows.api.index import Sealed, SegmentOutcomes
from flows.api.segments import Record, Segments
from flows.runtime import lake_of
from storage.errors import StorageDeniedError
from tasks.records.decisions import Decision, resolve
from tests.api.conftest import MakeConfig, transaction
from tests.api.server import served

ONE = "/api/v1/ingest"
PATIENCE = 20.0


def record(number: int) -> Record:
    return Record(f"t{number}", f'{{"id":"t{number}"}}'.encode())


def opened(folder: Path, done: module.Ask, **settings: float) -> Inbox:
    segments = Segments(folder, "sales", lambda line: line.decode().split('"')[3])
    return Inbox(segments, Api(**settings), done)  # type: ignore[arg-type]


def nothing(_: Sequence[Sealed]) -> SegmentOutcomes:
    return SegmentOutcomes()


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_a_lake_that_is_away_stops_no_record(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def away(*_: object) -> None:
        asked.set()
        raise StorageDeniedError("the lake is away")

    monkeypatch.setattr("flows.api.push.ledger.delivered", away)
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.05)
    for number in (1, 2):  # the second server begins with a segment that waits
        with served(make_app(make_config("api.seal_seconds=0.1"))) as client:
            assert client.post(ONE, json=transaction(number)).status_code == 202
            assert asked.wait(PATIENCE)
            time.sleep(1.2)
            assert client.post(ONE, json=transaction(number + 10)).status_code == 202
            assert client.get("/health").json()["waiting_records"] == 2 * number
        asked.clear()


def test_segments_are_counted_until_bronze_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.05)
    taken: set[str] = set()
    inbox = opened(tmp_path, lambda _: SegmentOutcomes(set(taken)), seal_seconds=0.0)
    inbox.put([record(1), record(2)]).result(PATIENCE)
    assert eventually(lambda: len(list(tmp_path.glob("sales_*"))) == 1)
    assert inbox.waiting_rows == 2
    taken.update(path.name for path in tmp_path.glob("sales_*"))
    assert eventually(lambda: inbox.waiting_rows == 0)
    inbox.close()


def test_the_records_of_a_rejected_batch_may_be_sent_again(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFRESH_SECONDS", 0.05)
    config, landing = make_config("api.seal_seconds=0.1"), tmp_path / "landing"

    def waiting() -> int:
        return int(client.get("/health").json()["waiting_records"])

    with served(make_app(config)) as client:
        assert client.post(ONE, json=transaction(1)).status_code == 202
        assert eventually(lambda: len(list(landing.glob("*.jsonl"))) == 1)
        (wrong,) = landing.glob("*.jsonl")
        digits = hashlib.sha256(wrong.read_bytes()).hexdigest()[:12]
        resolve(
            lake_of(config).store(None), "finance", batch_id=f"transactions-{digits}",
            table_name="bronze.transactions", decision=Decision.rejected, reason="wrong", by="me",
        )  # fmt: skip
        assert eventually(lambda: waiting() == 0)
        assert client.post(ONE, json=transaction(1, amount=7)).status_code == 202
        assert waiting() == 1


def test_an_acknowledgement_does_not_wait_for_bronze(tmp_path: Path) -> None:
    inbox = opened(tmp_path, nothing)
    inbox.put([record(1)]).result(PATIENCE)
    inbox.close()
    release = threading.Event()

    def slow(_: Sequence[Sealed]) -> SegmentOutcomes:
        release.wait(PATIENCE)
        return SegmentOutcomes()

    inbox = opened(tmp_path, slow)
    try:
        inbox.put([record(2)]).result(2)
    finally:
        release.set()
        inbox.close()


def test_a_segment_that_was_moved_is_closed_though_its_folder_could_not_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = Segments(tmp_path, "sales", lambda line: line.decode().split('"')[3])
    segments.write([[record(1)]])

    def broken(path: Path) -> None:
        if path == tmp_path:
            raise OSError(5, "I/O error")

    with monkeypatch.context() as patch:
        patch.setattr("flows.api.segments.sync", broken)
        with pytest.raises(OSError, match="I/O error"):
            segments.seal()
    assert segments.write([[record(1), record(2)]]) == 1
    segments.close()
    assert len(list(tmp_path.glob("sales_*.jsonl"))) == 2


def test_an_inbox_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".inbox").write_text("")
    with pytest.raises(StorageDeniedError, match=r"sales cannot be written: ") as told:
        opened(tmp_path, nothing)
    assert "landing folder" in told.value.advice


@pytest.mark.parametrize("failure", [OSError(5, "I/O error"), sqlite3.OperationalError("locked")])
def test_a_segment_that_cannot_be_sealed_grows_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    inbox = opened(tmp_path, nothing, seal_seconds=0.0)

    def broken(*_: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(Segments, "_land", broken)
        for number in (1, 2):
            inbox.put([record(number)]).result(PATIENCE)
        assert inbox.waiting_rows == 2
    inbox.put([record(1), record(3)]).result(PATIENCE)
    inbox.close()
    (landed,) = tmp_path.glob("sales_*.jsonl")
    assert landed.read_bytes().count(b"\n") == 3


def test_a_request_that_was_given_up_is_not_written(tmp_path: Path) -> None:
    inbox = opened(tmp_path, nothing)
    gone: Future[None] = Future()
    gone.cancel()
    inbox._queue.put(([record(1)], gone))
    inbox.put([record(2)]).result(PATIENCE)
    assert inbox.healthy
    inbox.close()
    (landed,) = tmp_path.glob("sales_*.jsonl")
    assert landed.read_bytes() == record(2).line + b"\n"


def test_records_count_as_waiting_before_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, release = opened(tmp_path, nothing), threading.Event()
    write = Segments.write

    def slow(self: Segments, batches: Sequence[Sequence[Record]]) -> int:
        release.wait(PATIENCE)
        return write(self, batches)

    with monkeypatch.context() as patch:
        patch.setattr(Segments, "write", slow)
        written = [inbox.put([record(n)]) for n in (1, 2, 3)]
        assert inbox.waiting_rows == 3
        release.set()
        for future in written:
            future.result(PATIENCE)
    assert inbox.waiting_rows == 3
    inbox.close()


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Lets the thread that writes end of itself while a request waits."""
    release = threading.Event()

    def end(_: Inbox) -> None:
        release.wait(PATIENCE)

    monkeypatch.setattr(Inbox, "_group", end)
    return release


def test_requests_that_wait_are_told_when_the_thread_ends(
    tmp_path: Path, ended: threading.Event
) -> None:
    inbox = opened(tmp_path, nothing)
    waiting = inbox.put([record(1)])
    ended.set()
    with pytest.raises(InboxStoppedError, match="not written any more"):
        waiting.result(PATIENCE)
    assert eventually(lambda: not inbox.healthy)
    with pytest.raises(InboxStoppedError):
        inbox.put([record(2)])
    inbox.close()


def test_a_server_that_cannot_write_says_503(
    make_config: MakeConfig, ended: threading.Event
) -> None:
    def says(answer: httpx.Response) -> bool:
        return (answer.status_code, answer.json().get("advice")) == (503, "Restart lakehouse api.")

    with served(make_app(make_config())) as client:
        assert client.get("/health").status_code == 200
        ended.set()
        assert eventually(lambda: says(client.get("/health")))
        assert says(client.post(ONE, json=transaction(1)))
