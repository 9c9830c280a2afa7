"""Records that are pushed: what is taken is on the disk once, what is not is told why."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.api.app import make_app
from flows.api.keys import HEADER
from storage.errors import ConfigurationError
from tests.api.conftest import MakeConfig, composed, transaction
from tests.api.server import READ, WRITE, served


@dataclass(frozen=True)
class Refusing:
    """A client, and the folder in which nothing may be written."""

    client: httpx.Client
    folder: Path


ONE, MANY = "/api/v1/ingest", "/api/v1/ingest/batch"
JSON = {"Content-Type": "application/json"}


def landed(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "landing").glob("transactions_api_*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def growing(folder: Path) -> list[str]:
    files = (folder / "landing" / ".inbox" / "transactions_api").glob(".*.part")
    return [
        json.loads(line)["transaction_id"] for f in files for line in f.read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Refusing]:
    """A server that takes 1,000 bytes, for requests of which it takes none."""
    folder = tmp_path_factory.mktemp("refusing")
    with pytest.MonkeyPatch.context() as patch:
        app = make_app(composed(patch, folder, "api.max_body_bytes=1000"))
        with served(app) as client:
            yield Refusing(client, folder)


@pytest.fixture
def client(make_config: MakeConfig) -> Iterator[httpx.Client]:
    """A client that may write."""
    with served(make_app(make_config())) as made:
        yield made


def test_an_accepted_record_is_on_the_disk_and_counts_once(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    with served(make_app(make_config())) as client:
        for _ in range(2):
            answer = client.post(ONE, json=transaction(1))
            assert (answer.status_code, answer.json()) == (202, {"status": "accepted", "id": "t1"})
        batch = client.post(MANY, json=[transaction(2), transaction(1), transaction(2)])
        assert batch.json() == {"status": "accepted", "ids": ["t2", "t1", "t2"]}
        assert growing(tmp_path) == ["t1", "t2"]
        assert client.get("/health").json()["waiting_records"] == 2
    assert [row["transaction_id"] for row in landed(tmp_path)] == ["t1", "t2"]


def test_numbers_keep_their_digits(make_config: MakeConfig, tmp_path: Path) -> None:
    body = json.dumps(transaction(1, amount=0)).replace('"amount": 0', '"amount": 12.50')
    with served(make_app(make_config())) as client:
        assert client.post(ONE, content=body, headers=JSON).status_code == 202
    (file,) = (tmp_path / "landing").glob("*.jsonl")
    assert '"amount":12.50' in file.read_text()


def test_an_id_is_known_after_a_restart(make_config: MakeConfig, tmp_path: Path) -> None:
    for _ in range(2):
        with served(make_app(make_config())) as client:
            assert client.post(ONE, json=transaction(1)).status_code == 202
    assert len(landed(tmp_path)) == 1


def test_two_servers_do_not_share_an_inbox(client: httpx.Client, make_config: MakeConfig) -> None:
    with pytest.raises(ConfigurationError, match="another process takes records"):
        make_app(make_config())


def test_records_do_not_go_to_an_object_store(make_config: MakeConfig) -> None:
    with pytest.raises(ConfigurationError, match="go to a local disk"):
        make_app(make_config("paths.landing=s3://shop-deliveries/in"))


BAD = {
    "no id": ({"transaction_id": None}, "transaction_id"),
    "an empty id": ({"transaction_id": ""}, "transaction_id"),
    "an id that is a list": ({"transaction_id": ["t1"]}, "transaction_id"),
    "an id that is true": ({"transaction_id": True}, "transaction_id"),
    "no amount": ({"amount": None}, "amount"),
    "an amount of 0": ({"amount": 0}, "amount"),
    "a negative amount": ({"amount": -3}, "amount"),
    "an amount in words": ({"amount": "twelve"}, "amount"),
    "an amount that is true": ({"amount": True}, "amount"),
    "an amount that is not a number": ({"amount": "NaN"}, "amount"),
    "an amount without end": ({"amount": "Infinity"}, "amount"),
    "an amount beyond its column": ({"amount": "1e400"}, "amount"),
    "an implausible amount": ({"amount": 10000000000000}, "amount"),
    "no instant": ({"transaction_ts": None}, "transaction_ts"),
    "an instant in words": ({"transaction_ts": "yesterday"}, "transaction_ts"),
    "an instant that is a number": ({"transaction_ts": 1772359200}, "transaction_ts"),
    "the 30th of February": ({"transaction_ts": "2026-02-30T10:00:00Z"}, "transaction_ts"),
    "an instant in the future": ({"transaction_ts": "2099-01-01T00:00:00Z"}, "transaction_ts"),
    "an amount that rounds to 0": ({"amount": "0.004"}, "amount"),
    "an amount with underscores": ({"amount": "1_000"}, "amount"),
    "an amount in other digits": ({"amount": "\u0661\u0662"}, "amount"),
    "an instant that is a negative number": ({"transaction_ts": "-1772359200"}, "transaction_ts"),
    "an instant before the year 1": (
        {"transaction_ts": "0001-01-01T00:00:00+14:00"},
        "transaction_ts",
    ),
    "an instant after the year 9999": (
        {"transaction_ts": "9999-12-31T23:59:59-01:00"},
        "transaction_ts",
    ),
    "a text with U+0000": ({"merchant_id": "m\u0000"}, "merchant_id"),
    "an account that is an object": ({"account_id": {"id": 1}}, "account_id"),
    "a field that is not known": ({"amuont": 3}, "amuont"),
}


@pytest.mark.parametrize(("changes", "field"), BAD.values(), ids=BAD)
def test_an_invalid_record_gets_422_with_field_and_reason(
    refusing: Refusing, changes: dict[str, Any], field: str
) -> None:
    client = refusing.client
    answer = client.post(ONE, json=transaction(1, **changes))
    assert answer.status_code == 422, answer.text
    (problem, *_) = answer.json()["problems"]
    assert problem["field"] == field
    assert problem["reason"]
    assert "row" not in problem

    batch = client.post(MANY, json=[transaction(8), transaction(9, **changes)])
    assert batch.status_code == 422
    assert batch.json()["problems"][0] | {"row": 2, "field": field} == batch.json()["problems"][0]
    assert growing(refusing.folder) == []


REQUESTS: dict[str, tuple[int, dict[str, Any], str]] = {
    "not JSON": (400, {"content": "{", "headers": JSON}, "not JSON"),
    "NaN, which is not JSON": (400, {"content": '{"amount": NaN}', "headers": JSON}, "NaN"),
    "a key twice": (400, {"content": '{"a": 1, "a": 2}', "headers": JSON}, "'a' more than once"),
    "not UTF-8": (400, {"content": b'{"a": "\xff"}', "headers": JSON}, "UTF-8"),
    "no body": (400, {"content": b"", "headers": JSON}, "not JSON"),
    "a list for one": (422, {"json": [transaction(1)]}, "is not a JSON object"),
    "text": (422, {"json": "t1"}, "is not a JSON object"),
    "a form": (415, {"data": {"transaction_id": "t1"}}, "x-www-form-urlencoded"),
    "no content type": (415, {"content": "{}"}, "not given"),
    "compressed": (415, {"content": "{}", "headers": {**JSON, "Content-Encoding": "gzip"}}, "compressed"),
    "nested deeply": (400, {"content": "[" * 450 + "]" * 450, "headers": JSON}, "nested too deeply"),
    "too large": (413, {"json": transaction(1, merchant_id="m" * 2000)}, "more than 1,000 bytes"),
    "no key": (401, {"json": transaction(1), "headers": {HEADER: ""}}, "no key"),
    "another key": (401, {"json": transaction(1), "headers": {HEADER: WRITE[:-1]}}, "not known"),
    "a key for reading": (403, {"json": transaction(1), "headers": {HEADER: READ}}, "may not write"),
}  # fmt: skip


@pytest.mark.parametrize(("status", "sent", "says"), REQUESTS.values(), ids=REQUESTS)
def test_a_bad_request_gets_its_status_and_says_why(
    refusing: Refusing, status: int, sent: dict[str, Any], says: str
) -> None:
    answer = refusing.client.post(ONE, **sent)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]
    assert answer.json()["advice"]
    assert WRITE[:-1] not in answer.text
    assert growing(refusing.folder) == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", ONE, 405), ("POST", "/api/v1/nothing", 404), ("PUT", "/health", 405)],
)
def test_a_call_that_is_not_there_is_told(
    refusing: Refusing, method: str, path: str, status: int
) -> None:
    answer = refusing.client.request(method, path)
    assert answer.status_code == status
    assert path in answer.json()["error"]


@pytest.mark.parametrize("body", [[], {}, "x"])
def test_a_batch_is_a_list_of_records(refusing: Refusing, body: object) -> None:
    assert refusing.client.post(MANY, json=body).status_code == 422


def test_limits_are_told_with_what_to_do(make_config: MakeConfig) -> None:
    limits = ["api.max_batch_records=2", "api.max_waiting_records=3", "api.burst=6"]
    app = make_app(make_config(*limits, "api.requests_per_second=0.5"))
    with served(app) as client:
        assert client.post(MANY, json=[transaction(n) for n in range(3)]).status_code == 413
        assert client.post(MANY, json=[transaction(n) for n in range(2)]).status_code == 202
        assert client.post(ONE, json=transaction(3)).status_code == 202
        full = client.post(ONE, json=transaction(4))
        assert (full.status_code, full.headers["Retry-After"]) == (429, "60")
        assert "3 records wait" in full.json()["error"]
        answers = [client.post(ONE, json=transaction(4)) for _ in range(3)]
        assert answers[-1].status_code == 429
        assert "0.5 requests a second" in answers[-1].json()["error"]
        assert int(answers[-1].headers["Retry-After"]) in (1, 2)


def test_a_disk_that_takes_nothing_loses_nothing(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.post(ONE, json=transaction(1)).status_code == 202

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("flows.api.segments.os.fsync", full)
        answer = client.post(ONE, json=transaction(2))
        assert answer.status_code == 503
        assert "No space left" in answer.json()["error"]
    assert growing(tmp_path) == ["t1"]
    assert client.post(ONE, json=transaction(2)).status_code == 202
    assert growing(tmp_path) == ["t1", "t2"]


def test_a_disk_that_was_full_from_the_first_record_on_leaves_no_file(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, served(make_app(make_config())) as client:
        patch.setattr("flows.api.segments._append", _full)
        assert client.post(ONE, json=transaction(1)).status_code == 503
    for _ in range(2):  # the first start removes what the server left
        with served(make_app(make_config())):
            assert not growing(tmp_path)
            assert not landed(tmp_path)
    assert list((tmp_path / "landing" / ".inbox" / "transactions_api").glob(".*")) == []


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_an_index_that_does_not_answer_is_told(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> bool:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr("flows.api.segments.Segments.known", locked)
    answer = client.post(ONE, json=transaction(1))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "database is locked" in answer.json()["error"]


def test_a_body_that_takes_long_stops_no_other_request(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, release = threading.Event(), threading.Event()

    def slow(_: str) -> object:
        began.set()
        release.wait(20)
        return {}

    monkeypatch.setattr("flows.api.push.parse", slow)
    with ThreadPoolExecutor() as others:
        answer = others.submit(client.post, ONE, json=transaction(1))
        assert began.wait(20)
        try:
            assert client.get("/health", timeout=5).status_code == 200
        finally:
            release.set()
        assert answer.result().status_code == 422
