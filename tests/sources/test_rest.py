"""Extractions from a REST API: HubSpot's contacts, as the how-to page declares them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from storage.errors import InputError, LakehouseError, TerminalError, TransientError
from tasks.domain.spec import (  # fmt: skip
    AuthKind,
    AuthSpec,
    DriftMode,
    PageKind,
    PageSpec,
    Place,
    RestSpec,
    SourceKind,
    SourceSpec,
    WatermarkSpec,
)
from tasks.ingest import bronze
from tasks.ingest.sources.reader import Request
from tasks.ingest.sources.rest.reader import RestReader
from tasks.records.decisions import Decision
from tasks.run_table import has_news
from tests.services.hubspot import Fault, HubSpot
from tests.sources.conftest import MakeShop, SetClock
from tests.sources.rest_page import declared

Read = Callable[[SourceSpec], list[dict[str, Any]]]


@pytest.fixture
def source(hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch) -> SourceSpec:
    """The page's contacts, asked for two at a time and without waiting."""
    for name, value in hubspot.environment.items():
        monkeypatch.setenv(name, value)
    contacts = declared("contacts")
    assert contacts.rest is not None
    contacts.rest.body["limit"] = 2
    return faster(contacts)


def faster(source: SourceSpec) -> SourceSpec:
    assert source.rest is not None
    rest = replace(
        source.rest, attempts=3, backoff_seconds=0.01, timeout_seconds=5.0, requests_per_second=0.0
    )
    return replace(source, rest=rest)


def asked(source: SourceSpec, **changes: Any) -> SourceSpec:
    """The source with its `rest` changed."""
    assert source.rest is not None
    return replace(source, rest=replace(source.rest, **changes))


def at(clock: str) -> str:
    return f"2026-03-01T{clock}.000Z"


def put(hubspot: HubSpot, object_id: int, clock: str, **properties: str) -> None:
    hubspot.objects.put("contacts", str(object_id), at(clock), **properties)


@pytest.fixture
def read(spark: SparkSession, tmp_path: Path) -> Read:
    """Reads a source of which bronze holds nothing; the records, as they were frozen."""

    def reading(source: SourceSpec) -> list[dict[str, Any]]:
        request = Request("sale", tmp_path, tmp_path / "extraction", session=spark)
        offers = RestReader(source).offers(request)
        assert offers is not None
        lines = [line for offer in offers for line in offer.path.read_text("utf-8").splitlines()]
        return [json.loads(line) for line in lines]

    return reading


def ids(records: list[dict[str, Any]]) -> list[int]:
    return [int(record["id"]) for record in records]


def five(hubspot: HubSpot) -> None:
    for number in range(1, 6):
        put(hubspot, number, f"10:0{number}:00", email=f"{number}@x.org")


def test_only_what_is_new_is_appended(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot, format_name: str
) -> None:
    five(hubspot)
    shop = make_shop(source, format_name)
    assert shop.run() is not None
    assert shop.rows("bronze.sale", "id", "email", "lastmodifieddate", "archived") == [
        (str(n), f"{n}@x.org", at(f"10:0{n}:00"), "false") for n in range(1, 6)
    ]
    watermark = {"column": "lastmodifieddate", "value": at("10:05:00")}
    assert shop.record().notes["watermark"].items() >= watermark.items()

    commits = shop.commits()
    assert shop.run() is None  # the newest lie in the overlap, bronze holds them
    assert shop.commits() == commits

    put(hubspot, 6, "10:20:00", email="6@x.org")
    put(hubspot, 7, "10:04:30", email="late@x.org")  # below the watermark, in the overlap
    put(hubspot, 2, "10:21:00", email="two@x.org")
    assert shop.run() is not None
    fresh = shop.rows("bronze.sale", "id", "email", "_delivery", "_record_number")[5:]
    assert fresh == [
        ("7", "late@x.org", 2, 1), ("6", "6@x.org", 2, 2), ("2", "two@x.org", 2, 3),
    ]  # fmt: skip
    (file,) = shop.record().files
    assert file.name == f"rest:sale@{at('10:21:00')}"
    assert shop.run() is None

    attempt = shop.run("silver.sale")
    assert attempt is not None
    assert attempt.rows["ingested"] == 8
    assert sorted(shop.rows("silver.sale", "id"))[1] == ("2",)
    assert len(shop.rows("silver.sale", "id")) == 7


def test_the_request_asks_for_the_overlap_in_milliseconds(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(source)
    put(hubspot, 1, "10:00:00")
    shop.run()
    shop.run()
    first, again = (page.body["filterGroups"][0]["filters"][0] for page in hubspot.pages())
    assert first["value"] == "0"
    assert again["value"] == "1772358900000"  # 09:55:00


def test_a_record_of_the_future_is_taken_once_and_hides_no_other(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(source)
    hubspot.objects.put("contacts", "1", "2099-12-31T00:00:00.000Z")
    shop.run()
    assert "watermark" not in shop.record().notes
    put(hubspot, 2, "10:00:00")
    shop.run()
    assert shop.record().notes["watermark"]["value"] == at("10:00:00")
    assert shop.run() is None
    put(hubspot, 3, "10:01:00")
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2", "3"]


def test_records_keep_their_signs(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(source)
    put(hubspot, 1, "10:00:00", email="a@x.org")
    shop.run()
    put(hubspot, 2, "10:01:00", email="ü\u2028@x.org")
    shop.run()
    assert shop.rows("bronze.sale", "email") == [("a@x.org",), ("ü\u2028@x.org",)]


def test_pages_longer_than_the_overlap_miss_nothing(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot, set_clock: SetClock
) -> None:
    shop = make_shop(source)
    set_clock("10:00:00")
    put(hubspot, 1, "09:50:00")
    put(hubspot, 2, "10:24:00")  # was read last
    shop.run()
    assert shop.record().notes["watermark"]["value"] == at("09:50:00")
    put(hubspot, 3, "10:05:00")  # on a page that was read already
    set_clock("10:30:00")
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2", "3"]


def test_another_path_under_the_same_watermark_starts_over(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(source)
    put(hubspot, 1, "10:00:00")
    shop.run()
    hubspot.objects.put("deals", "2", at("09:00:00"), lastmodifieddate=at("09:00:00"))
    deals = shop.with_source(rest=asked(source, path="crm/v3/objects/deals/search").rest)
    deals.source.rest.body["properties"].append("lastmodifieddate")  # type: ignore[union-attr]
    deals.run()
    assert [row[0] for row in deals.rows()] == ["1", "2"]


def test_an_account_without_objects_gives_no_commit(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(source)
    assert shop.run() is None
    assert len(hubspot.pages()) == 1
    put(hubspot, 1, "10:00:00")
    assert shop.run() is not None


@pytest.mark.parametrize("published", [False, True], ids=["before the commit", "after the commit"])
def test_a_repeat_after_a_kill_appends_once(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot, *, published: bool
) -> None:
    shop = make_shop(source)
    five(hubspot)
    attempt = shop.stage()
    assert attempt is not None
    report = shop.check(attempt)
    if published:
        kept = {p: p.read_bytes() for p in Path(attempt.folder).rglob("*") if p.is_file()}
        shop.publish(attempt, report)
        for path, content in kept.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        shop.publish(attempt, report)  # the same attempt again
        assert shop.stage() is None
    else:
        again = shop.stage()
        assert again is not None
        assert (again.token, again.files, again.notes) == (
            attempt.token, attempt.files, attempt.notes,
        )  # fmt: skip
        shop.publish(again, shop.check(again))
    assert [row[0] for row in shop.rows()] == ["1", "2", "3", "4", "5"]


def test_what_was_checked_is_published_though_the_api_goes_on(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(source)
    put(hubspot, 1, "10:00:00", email="a")
    attempt = shop.stage()
    assert attempt is not None
    report = shop.check(attempt)
    put(hubspot, 1, "10:01:00", email="b")
    shop.publish(attempt, report)
    assert shop.rows("bronze.sale", "email") == [("a",)]
    shop.run()
    assert shop.rows("bronze.sale", "email") == [("a",), ("b",)]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(at=2, status=429, retry_after=1),
        Fault(at=2, times=2, status=500),
        Fault(at=3, cut=True),
    ],
    ids=["too many requests", "server error", "cut half-way"],
)
def test_a_page_that_fails_for_a_while_is_asked_for_again(
    read: Read, source: SourceSpec, hubspot: HubSpot, fault: Fault
) -> None:
    five(hubspot)
    hubspot.arm(fault)
    begun = time.monotonic()
    read(source)
    assert time.monotonic() - begun >= (fault.retry_after or 0)
    assert len(hubspot.pages()) == 4 + fault.times


@pytest.mark.parametrize(
    "fault",
    [Fault(at=3, times=9, status=500), Fault(at=3, times=9, cut=True)],
    ids=["server error", "cut half-way"],
)
def test_a_page_that_keeps_failing_leaves_nothing_and_the_next_run_continues(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot, fault: Fault
) -> None:
    five(hubspot)
    shop = make_shop(source)
    hubspot.arm(fault)
    with pytest.raises(TransientError, match=r"bronze\.sale: POST http://127"):
        shop.stage()
    assert shop.rows() == []
    assert not list((shop.root / "staging").rglob("*.jsonl"))
    hubspot.disarm()
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2", "3", "4", "5"]


def test_a_server_that_asks_to_wait_for_too_long_ends_the_run_at_once(
    read: Read, source: SourceSpec, hubspot: HubSpot
) -> None:
    hubspot.arm(Fault(status=429, retry_after=7200))
    with pytest.raises(TransientError, match="secondly limit") as refused:
        read(source)
    assert "It asks to wait 7200 seconds" in refused.value.advice
    assert len(hubspot.pages()) == 1


def oauth(source: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch) -> SourceSpec:
    """The source as an application that has a refresh token."""
    values = {
        "ID": hubspot.client_id,
        "SECRET": hubspot.client_secret,
        "REFRESH": hubspot.refresh_token,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"APP_{name}", value)
    return asked(
        source,
        auth=AuthSpec(
            AuthKind.refresh_token, token_url=f"{hubspot.url}/oauth/v1/token",
            client_id="{secret:APP_ID}", client_secret="{secret:APP_SECRET}",
            refresh_token="{secret:APP_REFRESH}",
        ),
    )  # fmt: skip


def test_a_token_that_ends_between_two_pages_is_renewed_once(
    read: Read, source: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    five(hubspot)
    hubspot.arm(Fault(at=3, action=hubspot.expire_tokens))
    records = read(oauth(source, hubspot, monkeypatch))
    assert ids(records) == [1, 2, 3, 4, 5]
    assert sum(request.path == "/oauth/v1/token" for request in hubspot.asked) == 2
    assert len(hubspot.pages()) == 5


def test_a_client_gets_its_token_by_its_own_credentials(
    read: Read, source: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    five(hubspot)
    application = oauth(source, hubspot, monkeypatch)
    assert application.rest is not None
    own = replace(application.rest.auth, kind=AuthKind.client_credentials, refresh_token="")
    hubspot.arm(Fault(at=3, action=hubspot.expire_tokens))
    assert ids(read(asked(application, auth=own))) == [1, 2, 3, 4, 5]
    monkeypatch.setenv("APP_SECRET", "gehe1m-gehe1m")
    with pytest.raises(LakehouseError, match="token endpoint answered 400") as refused:
        read(asked(application, auth=own))
    said_nothing_secret(refused.value, "gehe1m-gehe1m")


def test_a_renewed_token_that_is_refused_is_not_renewed_again(
    read: Read, source: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    five(hubspot)
    hubspot.arm(Fault(at=2, times=99, action=hubspot.expire_tokens))
    with pytest.raises(TerminalError, match="answered 401: The OAuth token"):
        read(oauth(source, hubspot, monkeypatch))
    assert sum(request.path == "/oauth/v1/token" for request in hubspot.asked) == 2


def test_a_wrong_client_secret_is_said_without_it(
    read: Read, source: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = oauth(source, hubspot, monkeypatch)
    monkeypatch.setenv("APP_SECRET", "gehe1m-gehe1m")
    with pytest.raises(LakehouseError, match="token endpoint answered 400") as refused:
        read(wrong)
    said_nothing_secret(refused.value, "gehe1m-gehe1m", hubspot.refresh_token)


def said_nothing_secret(error: BaseException, *values: str) -> None:
    told = [str(error), repr(error), str(error.__cause__), str(error.__context__)]
    assert not [v for v in values for text in told if v in text]


def test_a_wrong_token_ends_the_run_and_is_not_said(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(source)
    put(hubspot, 1, "10:00:00")
    monkeypatch.setenv("HUBSPOT_TOKEN", "pat-wrong-gehe1m")
    with pytest.raises(TerminalError, match="answered 401") as refused:
        shop.run()
    assert "rest.auth" in refused.value.advice
    said_nothing_secret(refused.value, "pat-wrong-gehe1m")
    assert len(hubspot.pages()) == 1
    monkeypatch.setenv("HUBSPOT_TOKEN", hubspot.token)
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1"]


def test_a_host_that_does_not_answer_is_tried_again_later(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "gehe1m/gehe1m")
    key = AuthSpec(AuthKind.api_key, token="{secret:A_KEY}", name="key", place=Place.query)
    shop = make_shop(source)
    put(hubspot, 1, "10:00:00")
    shop.run()
    put(hubspot, 2, "10:01:00")
    away = asked(source, url="http://127.0.0.1:9", auth=key)
    with pytest.raises(TransientError, match="refused") as failed:
        shop.with_source(rest=away.rest).run()
    said_nothing_secret(failed.value, "gehe1m", "gehe1m%2Fgehe1m")
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2"]


def test_a_server_that_is_silent_is_a_lost_connection(
    read: Read, source: SourceSpec, hubspot: HubSpot
) -> None:
    hubspot.arm(Fault(seconds=1.0))
    with pytest.raises(TransientError, match="no whole answer"):
        read(asked(source, timeout_seconds=0.2, attempts=1))


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<html>Service notice</html>", "the answer is no JSON .* begins with '<html>Service"),
        ('{"status": "COMPLETE"}', "the answer has no `results`"),
        ('{"results": [7]}', "page 1: record 1 is no JSON object"),
        ('{"results": [{"id": "1"}]}', "no record has the watermark's column lastmodifieddate"),
        ('{"results": [{"id": "1", "lastmodifieddate": "soon"}]}', "is of type instant"),
    ],
)
def test_an_answer_that_is_not_as_declared_is_refused_and_the_next_run_continues(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot, body: str, complaint: str
) -> None:
    put(hubspot, 1, "10:00:00")
    hubspot.arm(Fault(body=body))
    shop = make_shop(source)
    with pytest.raises(InputError, match=complaint):
        shop.stage()
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1"]


def test_a_request_that_the_api_refuses_says_why(
    read: Read, source: SourceSpec, hubspot: HubSpot
) -> None:
    assert source.rest is not None
    body = {**source.rest.body, "limit": 1000}
    with pytest.raises(InputError, match="answered 400: limit is more than 200"):
        read(asked(source, body=body))


@pytest.mark.parametrize("mode", list(DriftMode))
def test_a_property_that_is_new_follows_the_drift_of_the_source(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot, mode: DriftMode
) -> None:
    assert source.rest is not None
    shop = make_shop(replace(source, drift=mode))
    put(hubspot, 1, "10:00:00")
    shop.run()
    source.rest.body["properties"].append("hs_score")
    put(hubspot, 2, "10:30:00", hs_score="1.10")
    if mode is DriftMode.freeze:
        attempt = shop.stage()
        assert attempt is not None
        (problem,) = attempt.problems
        assert "the answer" in problem.message
        assert "hs_score" in problem.message
        shop.resolve(problem.batch_id, Decision.accepted)
    shop.run()
    column = "hs_score" if mode is DriftMode.evolve else "_rescued"
    told = shop.rows("bronze.sale", "id", column)
    kept = "1.10" if mode is DriftMode.evolve else '{"hs_score":"1.10"}'
    assert told == [("1", None), ("2", kept)]


def test_a_search_goes_on_past_the_number_of_results_that_it_can_page_through(
    read: Read, source: SourceSpec, hubspot: HubSpot
) -> None:
    assert source.rest is not None
    source.rest.body["limit"] = 100
    count = 3 * hubspot.result_limit + 7
    for number in range(count):
        minute, second = divmod(number // 4, 60)  # four to an instant, some across two pages
        put(hubspot, number + 1, f"10:{minute:02d}:{second:02d}")
    records = read(source)
    assert sorted(ids(records)) == list(range(1, count + 1))
    assert all("after" not in page.body for page in hubspot.pages())


def test_more_of_one_instant_than_a_page_holds_are_paged_by_the_cursor(
    read: Read, source: SourceSpec, hubspot: HubSpot
) -> None:
    for number in range(1, 8):
        put(hubspot, number, "10:00:00")
    put(hubspot, 8, "10:01:00")
    records = read(source)
    assert ids(records) == list(range(1, 9))


def test_a_record_that_changes_while_pages_are_read_hides_no_other(
    read: Read, source: SourceSpec, hubspot: HubSpot
) -> None:
    five(hubspot)
    hubspot.arm(Fault(at=2, action=lambda: put(hubspot, 1, "11:00:00", email="moved")))
    records = read(source)
    assert ids(records) == [1, 2, 3, 4, 5, 1]


def test_pages_by_the_cursor_alone_are_refused_where_they_are_not_in_order(
    read: Read, source: SourceSpec, hubspot: HubSpot
) -> None:
    assert source.rest is not None
    five(hubspot)
    source.rest.body["sorts"][0]["direction"] = "DESCENDING"
    with pytest.raises(InputError, match="not sorted by the watermark, ascending"):
        read(source)


def listed(hubspot: HubSpot, **changes: Any) -> SourceSpec:
    """Contacts by HubSpot's list, which has a cursor and no filter."""
    values: dict[str, Any] = {
        "url": hubspot.url, "path": "crm/v3/objects/contacts", "records": "results",
        "params": {"limit": "2", "properties": "email"}, "unnest": ["properties"],
        "pages": PageSpec(PageKind.cursor, "paging.next.after", "after"),
        "auth": AuthSpec(AuthKind.bearer, token="{secret:HUBSPOT_TOKEN}"),
    }  # fmt: skip
    return faster(
        SourceSpec(kind=SourceKind.rest, columns=["id", "email"], rest=RestSpec(**values | changes))
    )


def test_without_a_watermark_everything_is_delivered_when_it_changed(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    del source  # it sets the token
    shop = make_shop(listed(hubspot))
    assert shop.run() is None
    for number in (1, 2, 3):
        put(hubspot, number, "10:00:00", email=f"{number}@x.org")
    assert shop.run() is not None
    assert shop.run() is None
    hubspot.objects.archive("contacts", "3")
    assert shop.run() is not None
    delivered = shop.rows("bronze.sale", "_delivery", "id")
    assert delivered == [(1, "1"), (1, "2"), (1, "3"), (2, "1"), (2, "2")]
    hubspot.objects.clear()
    emptied = shop.run()
    assert emptied is not None
    assert [file.rows for file in emptied.files] == [0]
    assert shop.run() is None


def test_an_api_without_a_filter_gives_what_bronze_does_not_hold(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    del source
    columns = ["id", "email", "updatedAt"]
    whole = replace(
        listed(hubspot), columns=columns, watermark=WatermarkSpec("updatedAt", "0", ["id"])
    )
    shop = make_shop(whole)
    five(hubspot)
    shop.run()
    put(hubspot, 3, "10:30:00", email="three")
    shop.run()
    put(hubspot, 4, "10:10:00", email="behind the watermark")
    shop.run()
    assert shop.rows("bronze.sale", "id", "email")[5:] == [
        ("3", "three"), ("4", "behind the watermark"),
    ]  # fmt: skip
    assert shop.run() is None
    assert shop.record().notes["watermark"]["value"] == at("10:30:00")


def test_whether_an_api_has_news_is_not_known_without_spark(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(source)
    put(hubspot, 1, "10:00:00")
    shop.run()
    context = shop.context(spark=False)
    assert has_news(context, context.domain.ref("bronze.sale"))
    assert bronze.offered(context, context.domain.ref("bronze.sale")) is None


def test_no_token_is_written_down(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shop = make_shop(oauth(source, hubspot, monkeypatch))
    five(hubspot)
    shop.run()
    known = [hubspot.token, hubspot.client_secret, hubspot.refresh_token, *hubspot._access]
    assert len(known) == 4
    patterns = [part for value in known for part in ("-e", value)]
    found = subprocess.run(
        ["grep", "-rlF", *patterns, str(tmp_path)], capture_output=True, check=False
    )
    assert found.stdout == b""


def test_the_client_is_imported_by_the_sources_that_need_it_and_leaves_no_trace(
    hubspot: HubSpot, tmp_path: Path
) -> None:
    program = """
import json, sys, threading
from pathlib import Path
import tasks.ingest.sources.registry
early = "dlt" in sys.modules
from tasks.ingest.sources.rest.client import Connection
from tasks.domain.spec import AuthKind, AuthSpec, RestSpec
auth = AuthSpec(AuthKind.bearer, token="{secret:HUBSPOT_TOKEN}")
api = Connection(RestSpec(sys.argv[1], "crm/v3/objects/deals", records="results", auth=auth), "x")
pages = [page.records for page in api.pages({}, {})]
print(json.dumps([early, pages, threading.active_count()]))
"""
    environment = {**os.environ, **hubspot.environment, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program, hubspot.url], env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [False, [[]], 1]
    assert list(tmp_path.iterdir()) == []


def test_the_pages_deals_are_read(
    make_shop: MakeShop, source: SourceSpec, hubspot: HubSpot
) -> None:
    del source
    hubspot.objects.put(
        "deals",
        "77",
        at("10:00:00"),
        amount="1200.50",
        dealstage="contractsent",
        pipeline="default",
    )
    shop = make_shop(faster(declared("deals")))
    shop.run()
    assert shop.rows("bronze.sale", "id", "amount", "dealstage", "hs_lastmodifieddate") == [
        ("77", "1200.50", "contractsent", at("10:00:00"))
    ]
