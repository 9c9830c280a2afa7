"""HubSpot's contacts as the how-to page declares them, and what tests do to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.domain.spec import AuthKind, AuthSpec, SourceSpec
from tests.services.hubspot import HubSpot


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


def ids(records: list[dict[str, Any]]) -> list[int]:
    return [int(record["id"]) for record in records]


def five(hubspot: HubSpot) -> None:
    for number in range(1, 6):
        put(hubspot, number, f"10:0{number}:00", email=f"{number}@x.org")


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


def said_nothing_secret(error: BaseException, *values: str) -> None:
    told = [str(error), repr(error), str(error.__cause__), str(error.__context__)]
    assert not [v for v in values for text in told if v in text]
