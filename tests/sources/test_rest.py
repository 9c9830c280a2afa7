"""Extractions from a REST API: HubSpot's contacts, as the how-to page declares them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.domain.spec import DriftMode, SourceSpec
from tasks.ingest import bronze
from tasks.records.decisions import Decision
from tasks.run_table import has_news
from tests.services.hubspot import HubSpot
from tests.sources.conftest import MakeShop, SetClock
from tests.sources.contacts import asked, at, faster, five, put
from tests.sources.rest_page import declared


def test_only_what_is_new_is_appended(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot, format_name: str
) -> None:
    five(hubspot)
    shop = make_shop(contacts, format_name)
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
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(contacts)
    put(hubspot, 1, "10:00:00")
    shop.run()
    shop.run()
    first, again = (page.body["filterGroups"][0]["filters"][0] for page in hubspot.pages())
    assert first["value"] == "0"
    assert again["value"] == "1772358900000"  # 09:55:00


def test_a_record_of_the_future_is_taken_once_and_hides_no_other(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(contacts)
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
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(contacts)
    put(hubspot, 1, "10:00:00", email="a@x.org")
    shop.run()
    put(hubspot, 2, "10:01:00", email="ü\u2028@x.org")
    shop.run()
    assert shop.rows("bronze.sale", "email") == [("a@x.org",), ("ü\u2028@x.org",)]


def test_pages_longer_than_the_overlap_miss_nothing(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot, set_clock: SetClock
) -> None:
    shop = make_shop(contacts)
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
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(contacts)
    put(hubspot, 1, "10:00:00")
    shop.run()
    hubspot.objects.put("deals", "2", at("09:00:00"), lastmodifieddate=at("09:00:00"))
    deals = shop.with_source(rest=asked(contacts, path="crm/v3/objects/deals/search").rest)
    deals.source.rest.body["properties"].append("lastmodifieddate")  # type: ignore[union-attr]
    deals.run()
    assert [row[0] for row in deals.rows()] == ["1", "2"]


def test_an_account_without_objects_gives_no_commit(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(contacts)
    assert shop.run() is None
    assert len(hubspot.pages()) == 1
    put(hubspot, 1, "10:00:00")
    assert shop.run() is not None


@pytest.mark.parametrize("published", [False, True], ids=["before the commit", "after the commit"])
def test_a_repeat_after_a_kill_appends_once(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot, *, published: bool
) -> None:
    shop = make_shop(contacts)
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
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(contacts)
    put(hubspot, 1, "10:00:00", email="a")
    attempt = shop.stage()
    assert attempt is not None
    report = shop.check(attempt)
    put(hubspot, 1, "10:01:00", email="b")
    shop.publish(attempt, report)
    assert shop.rows("bronze.sale", "email") == [("a",)]
    shop.run()
    assert shop.rows("bronze.sale", "email") == [("a",), ("b",)]


@pytest.mark.parametrize("mode", list(DriftMode))
def test_a_property_that_is_new_follows_the_drift_of_the_source(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot, mode: DriftMode
) -> None:
    assert contacts.rest is not None
    shop = make_shop(replace(contacts, drift=mode))
    put(hubspot, 1, "10:00:00")
    shop.run()
    contacts.rest.body["properties"].append("hs_score")
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


def test_whether_an_api_has_news_is_not_known_without_spark(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    shop = make_shop(contacts)
    put(hubspot, 1, "10:00:00")
    shop.run()
    context = shop.context(spark=False)
    assert has_news(context, context.domain.ref("bronze.sale"))
    assert bronze.offered(context, context.domain.ref("bronze.sale")) is None


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
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    del contacts
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
