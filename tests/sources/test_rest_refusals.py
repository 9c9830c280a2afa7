"""An API that fails for a while, asks to wait, is silent or answers otherwise than declared."""

from __future__ import annotations

import time

import pytest

from storage.errors import InputError, TransientError
from tasks.domain.spec import AuthKind, AuthSpec, Place, SourceSpec
from tests.services.hubspot import Fault, HubSpot
from tests.sources.conftest import MakeShop, ReadApi
from tests.sources.contacts import asked, five, put, said_nothing_secret


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
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot, fault: Fault
) -> None:
    five(hubspot)
    hubspot.arm(fault)
    begun = time.monotonic()
    read_api(contacts)
    assert time.monotonic() - begun >= (fault.retry_after or 0)
    assert len(hubspot.pages()) == 4 + fault.times


@pytest.mark.parametrize(
    "fault",
    [Fault(at=3, times=9, status=500), Fault(at=3, times=9, cut=True)],
    ids=["server error", "cut half-way"],
)
def test_a_page_that_keeps_failing_leaves_nothing_and_the_next_run_continues(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot, fault: Fault
) -> None:
    five(hubspot)
    shop = make_shop(contacts)
    hubspot.arm(fault)
    with pytest.raises(TransientError, match=r"bronze\.sale: POST http://127"):
        shop.stage()
    assert shop.rows() == []
    assert not list((shop.root / "staging").rglob("*.jsonl"))
    hubspot.disarm()
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2", "3", "4", "5"]


def test_a_server_that_asks_to_wait_for_too_long_ends_the_run_at_once(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    hubspot.arm(Fault(status=429, retry_after=7200))
    with pytest.raises(TransientError, match="secondly limit") as refused:
        read_api(contacts)
    assert "It asks to wait 7200 seconds" in refused.value.advice
    assert len(hubspot.pages()) == 1


def test_a_host_that_does_not_answer_is_tried_again_later(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "gehe1m/gehe1m")
    key = AuthSpec(AuthKind.api_key, token="{secret:A_KEY}", name="key", place=Place.query)
    shop = make_shop(contacts)
    put(hubspot, 1, "10:00:00")
    shop.run()
    put(hubspot, 2, "10:01:00")
    away = asked(contacts, url="http://127.0.0.1:9", auth=key)
    with pytest.raises(TransientError, match="refused") as failed:
        shop.with_source(rest=away.rest).run()
    said_nothing_secret(failed.value, "gehe1m", "gehe1m%2Fgehe1m")
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1", "2"]


def test_a_server_that_is_silent_is_a_lost_connection(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    hubspot.arm(Fault(seconds=1.0))
    with pytest.raises(TransientError, match="no whole answer"):
        read_api(asked(contacts, timeout_seconds=0.2, attempts=1))


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<html>Service notice</html>", "the answer is not JSON .* begins with '<html>Service"),
        ('{"status": "COMPLETE"}', "the answer has no `results`"),
        ('{"results": [7]}', "page 1: record 1 is not a JSON object"),
        ('{"results": [{"id": "1"}]}', "no record has the watermark's column lastmodifieddate"),
        ('{"results": [{"id": "1", "lastmodifieddate": "soon"}]}', "is of type instant"),
    ],
)
def test_an_answer_that_is_not_as_declared_is_refused_and_the_next_run_continues(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot, body: str, complaint: str
) -> None:
    put(hubspot, 1, "10:00:00")
    hubspot.arm(Fault(body=body))
    shop = make_shop(contacts)
    with pytest.raises(InputError, match=complaint):
        shop.stage()
    shop.run()
    assert [row[0] for row in shop.rows()] == ["1"]


def test_a_request_that_the_api_refuses_says_why(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot
) -> None:
    assert contacts.rest is not None
    body = {**contacts.rest.body, "limit": 1000}
    with pytest.raises(InputError, match="answered 400: limit is more than 200"):
        read_api(asked(contacts, body=body))
