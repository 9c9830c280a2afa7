"""The HubSpot server answers as HubSpot documents it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import requests

from tests.services.hubspot import Fault, HubSpot


def get(server: HubSpot, path: str, token: str | None = None, **params: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token or server.token}"}
    return requests.get(f"{server.url}{path}", params, headers=headers, timeout=10)


def search(server: HubSpot, kind: str, **body: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {server.token}"}
    url = f"{server.url}/crm/v3/objects/{kind}/search"
    return requests.post(url, json=body, headers=headers, timeout=10)


def at(minute: int) -> str:
    return f"2026-03-01T10:{minute:02d}:00.000Z"


def test_a_list_is_paged_by_a_cursor(hubspot: HubSpot) -> None:
    for number in (3, 1, 2):
        hubspot.objects.put("contacts", str(number), at(number), email=f"{number}@x.org")
    first = get(hubspot, "/crm/v3/objects/contacts", limit="2").json()
    assert [one["id"] for one in first["results"]] == ["1", "2"]
    assert first["results"][0]["properties"]["email"] == "1@x.org"
    cursor = first["paging"]["next"]["after"]
    last = get(hubspot, "/crm/v3/objects/contacts", limit="2", after=cursor).json()
    assert [one["id"] for one in last["results"]] == ["3"]
    assert "paging" not in last


def test_a_search_filters_sorts_and_ends_at_its_limit(hubspot: HubSpot) -> None:
    for number in range(hubspot.result_limit + 1):
        hubspot.objects.put("deals", str(number + 1), at(number % 60), amount=str(number))
    since = str(int(datetime.fromisoformat(at(58)).timestamp() * 1000))
    later = {"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": since}
    sorts = [{"propertyName": "amount", "direction": "DESCENDING"}]
    query = {"filterGroups": [{"filters": [later]}], "sorts": sorts}
    found = search(hubspot, "deals", limit=100, **query).json()
    assert {one["updatedAt"] for one in found["results"]} == {at(58), at(59)}
    assert found["total"] == len(found["results"])
    amounts = [int(one["properties"]["amount"]) for one in found["results"]]
    assert amounts == sorted(amounts, reverse=True)
    beyond = search(hubspot, "deals", limit=100, after=str(hubspot.result_limit))
    assert (beyond.status_code, beyond.json()["category"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("token", "category"), [("wrong", "INVALID_AUTHENTICATION"), (None, "EXPIRED_AUTHENTICATION")]
)
def test_a_token_that_is_wrong_or_expired_is_refused(
    hubspot: HubSpot, token: str | None, category: str
) -> None:
    if token is None:
        form = {"grant_type": "refresh_token", "refresh_token": hubspot.refresh_token,
                "client_id": hubspot.client_id, "client_secret": hubspot.client_secret}  # fmt: skip
        given = requests.post(f"{hubspot.url}/oauth/v1/token", form, timeout=10).json()
        token = given["access_token"]
        assert get(hubspot, "/crm/v3/objects/deals", token).ok
        hubspot.expire_tokens()
    refused = get(hubspot, "/crm/v3/objects/deals", token)
    assert (refused.status_code, refused.json()["category"]) == (401, category)


def test_faults_befall_the_requests_they_are_armed_for(hubspot: HubSpot) -> None:
    hubspot.arm(Fault(at=2, status=429, retry_after=3))
    hubspot.arm(Fault(at=3, cut=True))
    answers = [get(hubspot, "/crm/v3/objects/deals") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].headers["Retry-After"] == "3"
    assert answers[1].json()["policyName"] == "SECONDLY"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(hubspot, "/crm/v3/objects/deals")
    assert get(hubspot, "/crm/v3/objects/deals").ok
    assert len(hubspot.pages()) == 4


def test_objects_are_put_and_archived_over_the_api_too(hubspot: HubSpot) -> None:
    headers = {"Authorization": f"Bearer {hubspot.token}"}
    base = f"{hubspot.url}/crm/v3/objects/contacts"
    properties = {"email": "a@x.org", "lastmodifieddate": at(5)}
    inputs: dict[str, Any] = {"inputs": [{"id": "7", "properties": properties}]}
    assert requests.post(f"{base}/batch/upsert", json=inputs, headers=headers, timeout=10).ok
    [shown] = get(hubspot, "/crm/v3/objects/contacts").json()["results"]
    assert (shown["updatedAt"], shown["properties"]["email"]) == (at(5), "a@x.org")
    assert requests.delete(f"{base}/7", headers=headers, timeout=10).status_code == 204
    assert get(hubspot, "/crm/v3/objects/contacts").json()["results"] == []
