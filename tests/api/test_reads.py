"""Tables, runs and quality that are read over HTTP, on both formats."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pyarrow as pa
import pytest

from flows.api import app
from flows.api.app import make_app
from flows.api.reads import _first
from flows.reading import Reader
from flows.report.quality_report import report_path
from flows.runtime import lake_of
from storage.base import TableStore
from storage.errors import ConfigurationError
from storage.evolution import AddColumn
from storage.types import CommitRecord, TableRef
from tests.api.conftest import MakeConfig, composed, transaction
from tests.api.server import READ, WRITE, served

ANOMALIES = TableRef("finance", "gold", "anomalies")
START = datetime(2026, 3, 1, 10, tzinfo=UTC)
ROWS = "/api/v1/tables/gold.anomalies/rows"


def flagged(number: int) -> dict[str, Any]:
    return {
        "transaction_id": f"t{number}",
        "rule": "velocity" if number % 2 else "very_high",
        "account_id": None if number == 4 else f"a{number % 3}",
        "amount": Decimal(number) + Decimal("0.50"),
        "transaction_ts": START + timedelta(minutes=number),
    }


def table(*numbers: int) -> pa.Table:
    schema = pa.schema(
        [("transaction_id", pa.string()), ("rule", pa.string()), ("account_id", pa.string()),
         ("amount", pa.decimal128(18, 2)), ("transaction_ts", pa.timestamp("us", tz="UTC"))]
    )  # fmt: skip
    return pa.Table.from_pylist([flagged(n) for n in numbers], schema=schema)


@dataclass(frozen=True)
class Served:
    """A client that may read, and the store behind the server."""

    client: httpx.Client
    store: TableStore
    first: str
    """Version of the table with 4 of its 9 rows."""

    def ids(self, path: str = ROWS, **params: Any) -> list[str]:
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return [row["transaction_id"] for row in answer.json()["rows"]]


@pytest.fixture(scope="module", params=["delta", "iceberg"])
def lake(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("lake")
        config = composed(patch, folder, f"format={request.param}", "api.max_rows=50")
        store = lake_of(config).store(None)
        first = store.append_arrow(ANOMALIES, table(3, 1, 4, 2), CommitRecord("r1", "t1"))
        store.append_arrow(ANOMALIES, table(9, 8, 7, 6, 5), CommitRecord("r2", "t2"))
        with served(make_app(config), READ) as client:
            yield Served(client, store, str(first.version))


def test_pages_hold_each_row_once_in_the_order_of_the_key(lake: Served) -> None:
    found: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        answer = lake.client.get(ROWS, params={"limit": 4, "cursor": cursor}).json()
        found += [row["transaction_id"] for row in answer["rows"]]
        cursor, pages = answer["cursor"], pages + 1
    assert (found, pages) == ([f"t{n}" for n in range(1, 10)], 3)


def test_a_page_goes_on_at_its_version_while_the_table_grows(lake: Served) -> None:
    begun = lake.client.get(ROWS, params={"limit": 2, "version": lake.first}).json()
    assert begun["version"] == lake.first
    rest = lake.client.get(ROWS, params={"cursor": begun["cursor"]}).json()
    assert [row["transaction_id"] for row in rest["rows"]] == ["t3", "t4"]
    assert (rest["version"], rest["cursor"]) == (lake.first, None)


def test_a_version_has_the_columns_that_it_had(
    lake: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    grown = TableRef("finance", "gold", "merchant_summary")
    rows = pa.table({"k": [1, 2, 3]})
    lake.store.append_arrow(grown, rows, CommitRecord("r1", "k1"))
    path = f"/api/v1/tables/{grown.label}/rows"
    begun = lake.client.get(path, params={"limit": 1}).json()
    lake.store.evolve(grown, [AddColumn("note", "string", "k")])
    more = rows.append_column("note", [["x", "y", "z"]])
    lake.store.append_arrow(grown, more, CommitRecord("r2", "k2"))
    rest = lake.client.get(path, params={"cursor": begun["cursor"]})
    assert rest.status_code == 200, rest.text
    assert rest.json()["rows"] == [{"k": 2}, {"k": 3}]
    older = {"version": begun["version"]}
    assert lake.client.get(path, params=older).json()["rows"] == [{"k": n} for n in (1, 2, 3)]
    assert lake.client.get(path, params=older | {"columns": "note"}).status_code == 422
    newest = lake.client.get(path, params={"filter": "note:eq:y"}).json()
    assert newest["rows"] == [{"k": 2, "note": "y"}]


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_the_first_rows_are_found_batch_by_batch(
    lake: Served, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("flows.api.reads.CHUNK_ROWS", chunk)
    batches = [table(9, 2, 7), table(), table(1), table(8, 3, 5, 6, 4)]
    scan = pa.RecordBatchReader.from_batches(
        batches[0].schema, [b for t in batches for b in t.to_batches()]
    )
    assert _first(scan, ["transaction_id"], 4)["transaction_id"].to_pylist() == [
        "t1",
        "t2",
        "t3",
        "t4",
    ]


def test_reads_wait_for_one_another_and_records_do_not(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, release = threading.Event(), threading.Event()

    def slow(_: Reader) -> list[TableRef]:
        began.set()
        release.wait(30)
        return []

    monkeypatch.setattr(Reader, "tables", slow)
    monkeypatch.setattr(app, "PATIENCE_SECONDS", 0.2)
    reading = {"X-API-Key": READ}
    path = "/api/v1/tables"
    with served(make_app(make_config("api.max_reads=1"))) as client, ThreadPoolExecutor() as others:
        first = others.submit(client.get, path, headers=reading, timeout=40)
        try:
            assert began.wait(20)
            answers = list(others.map(lambda _: client.get(path, headers=reading), range(5)))
            assert {a.status_code for a in answers} == {503}
            assert answers[0].headers["Retry-After"] == "5"
            assert client.post("/api/v1/ingest", json=transaction(1), timeout=5).status_code == 202
        finally:
            release.set()
        assert first.result().status_code == 200
        assert client.get(path, headers=reading).status_code == 200


def test_records_are_taken_while_reads_hold_every_thread(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = 40  # those that Starlette runs blocking calls in
    began, release = threading.Semaphore(0), threading.Event()

    def slow(_: Reader) -> list[TableRef]:
        began.release()
        release.wait(30)
        return []

    monkeypatch.setattr(Reader, "tables", slow)
    more = 2 * threads
    config = make_config(f"api.max_reads={more}", f"api.burst={more}")
    reading = {"X-API-Key": READ}
    with served(make_app(config)) as client, ThreadPoolExecutor(more) as others:
        read = partial(client.get, "/api/v1/tables", headers=reading, timeout=40)
        reads = [others.submit(read) for _ in range(more)]
        try:
            assert all(began.acquire(timeout=20) for _ in range(threads))
            assert client.post("/api/v1/ingest", json=transaction(1), timeout=10).status_code == 202
        finally:
            release.set()
        assert {answer.result().status_code for answer in reads} == {200}


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        (["rule:eq:velocity"], [1, 3, 5, 7, 9]),
        (["rule:ne:velocity"], [2, 4, 6, 8]),
        (["amount:gt:7.50"], [8, 9]),
        (["amount:le:1.50"], [1]),
        (["account_id:in:a0,a2", "rule:eq:velocity"], [3, 5, 9]),
        (["account_id:null:true"], [4]),
        (["account_id:null:false", "transaction_ts:lt:2026-03-01T10:03:00Z"], [1, 2]),
        (["transaction_ts:ge:2026-03-01 12:08:00+02:00"], [8, 9]),
        (["account_id:eq:' or 1=1 --"], []),
    ],
)
def test_filters_hold_together(lake: Served, filters: list[str], numbers: list[int]) -> None:
    assert lake.ids(filter=filters) == [f"t{n}" for n in numbers]


def test_columns_are_chosen_and_values_keep_their_digits(lake: Served) -> None:
    answer = lake.client.get(
        ROWS, params={"columns": "amount,transaction_ts", "filter": "transaction_id:eq:t7"}
    ).json()
    assert answer["rows"] == [{"amount": "7.50", "transaction_ts": "2026-03-01T10:07:00Z"}]


def test_the_domain_names_an_endpoint_and_its_filters(lake: Served) -> None:
    path = "/api/v1/anomalies"
    assert lake.ids(path, rule="velocity", account_id="a1") == ["t1", "t7"]
    until, since = "2026-03-01T10:05:00Z", "2026-03-01T10:03:00Z"
    assert lake.ids(path, since=since, until=until) == ["t3", "t4"]
    begun = lake.client.get(path, params={"limit": 2, "rule": "velocity"}).json()
    assert lake.ids(path, rule="velocity", cursor=begun["cursor"]) == ["t5", "t7", "t9"]
    stray = lake.client.get(path, params={"acount_id": "a1"})
    assert stray.status_code == 422
    assert "acount_id is not a parameter" in stray.json()["error"]


@pytest.mark.parametrize(
    ("path", "params", "status", "says"),
    [
        (
            ROWS,
            {"columns": "amount,price"},
            422,
            "'price' is not a column; there are transaction_id",
        ),
        (ROWS, {"filter": "price:eq:1"}, 422, "'price' is not a column"),
        (ROWS, {"filter": "amount:like:1"}, 422, "'like' is none of eq"),
        (ROWS, {"filter": "amount:eq:dear"}, 422, "'dear' is not a value of type decimal"),
        (
            ROWS,
            {"filter": "transaction_ts:lt:noon"},
            422,
            "'noon' is not a value of type timestamp",
        ),
        (ROWS, {"filter": "amount:null:perhaps"}, 422, "neither true nor false"),
        (ROWS, {"filter": "amount"}, 422, "is none of eq"),
        (ROWS, {"limit": "51"}, 422, "is more than 50"),
        (ROWS, {"limit": "0"}, 422, "not valid"),
        (ROWS, {"limit": "all"}, 422, "not valid"),
        (ROWS, {"cursor": "x"}, 422, "is not a cursor"),
        (ROWS, {"cursor": "e30="}, 422, "is not a cursor"),
        (ROWS, {"version": "123456789"}, 404, "has no version 123456789"),
        (ROWS, {"version": "'"}, 404, "has no version '"),
        ("/api/v1/tables/gold.sales/rows", {}, 404, "there is no table gold.sales"),
        ("/api/v1/tables/gold.anomalies;drop/rows", {}, 404, "there is no table"),
        ("/api/v1/quality", {}, 404, "no run has written a report"),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_told(
    lake: Served, path: str, params: dict[str, str], status: int, says: str
) -> None:
    answer = lake.client.get(path, params=params)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["error"]
    assert answer.json()["advice"]


def test_a_cursor_belongs_to_its_question(lake: Served) -> None:
    cursor = lake.client.get(ROWS, params={"limit": 1}).json()["cursor"]
    other = lake.client.get(ROWS, params={"cursor": cursor, "filter": "rule:eq:velocity"})
    assert other.status_code == 422
    assert "belongs to other filters" in other.json()["error"]


def test_reading_takes_a_key_of_its_own(lake: Served) -> None:
    for key, status in (("", 401), (WRITE, 403), (READ, 200)):
        assert lake.client.get(ROWS, headers={"X-API-Key": key}).status_code == status


def test_tables_and_runs_are_listed(lake: Served) -> None:
    tables = {t["table"]: t for t in lake.client.get("/api/v1/tables").json()["tables"]}
    listed = tables["gold.anomalies"]
    assert listed["rows"] == 9
    assert listed["columns"]["amount"].startswith("decimal128(18, 2)")
    assert lake.client.get("/api/v1/runs").json() == {"runs": []}


def test_runs_are_listed_newest_first_and_the_newest_report_is_shown(
    make_config: MakeConfig,
) -> None:
    config = make_config()
    started = [datetime(2026, 3, day, tzinfo=UTC) for day in (1, 3, 2)]
    runs = pa.table({"run_id": ["r1", "r3", "r2"], "started_at": started})
    store = lake_of(config).store(None)
    store.append_arrow(TableRef("finance", "ops", "runs"), runs, CommitRecord("r3", "o1"))
    report = report_path(config)
    report.parent.mkdir(parents=True)
    report.write_text('{"run_id": "r3"}', "utf-8")
    with served(make_app(config), READ) as client:
        listed = client.get("/api/v1/runs", params={"limit": 2}).json()["runs"]
        assert [run["run_id"] for run in listed] == ["r3", "r2"]
        assert listed[0]["started_at"] == "2026-03-03T00:00:00Z"
        assert client.get("/api/v1/quality").json() == {"run_id": "r3"}


def test_the_openapi_page_comes_from_the_server_alone(lake: Served) -> None:
    text = lake.client.get("/docs", headers={"X-API-Key": ""}).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert any(address.endswith(".js") for address in loaded)
    for address in loaded:
        assert address.startswith("/"), "it would come from elsewhere"
        assert lake.client.get(address, headers={"X-API-Key": ""}).status_code == 200


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("api.requests_per_second=0", "api.requests_per_second = 0 is less than 0.001"),
        ("api.burst=0", "api.burst = 0 is less than 1"),
        ("api.max_waiting_records=10", "api.max_waiting_records = 10 is less than"),
    ],
)
def test_a_limit_that_lets_nothing_through_is_refused(
    make_config: MakeConfig, override: str, says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make_app(make_config(override))


def test_a_key_has_one_role(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config()
    monkeypatch.setenv("LAKEHOUSE_API_READ_KEYS", f"{READ},{WRITE}")
    with pytest.raises(ConfigurationError, match="hold the same key"):
        make_app(config)


def test_it_listens_on_loopback_unless_told_otherwise(make_config: MakeConfig) -> None:
    assert make_config().api.host == "127.0.0.1"


def test_the_openapi_page_names_every_call(lake: Served) -> None:
    paths = lake.client.get("/openapi.json").json()["paths"]
    assert {"/health", "/api/v1/ingest", "/api/v1/ingest/batch", "/api/v1/anomalies",
            "/api/v1/tables", "/api/v1/tables/{table}/rows", "/api/v1/runs",
            "/api/v1/quality"} == set(paths)  # fmt: skip
    record = paths["/api/v1/ingest"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(record["required"]) == {"transaction_id", "amount", "transaction_ts"}
    assert record["properties"]["transaction_ts"]["description"].startswith("Instant of the")
