"""Tokens of a REST API: renewed once, and told to nobody."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from storage.errors import LakehouseError, TerminalError
from tasks.domain.spec import AuthKind, SourceSpec
from tests.services.hubspot import Fault, HubSpot
from tests.sources.conftest import MakeShop, ReadApi
from tests.sources.contacts import asked, five, ids, oauth, put, said_nothing_secret


def test_a_token_that_ends_between_two_pages_is_renewed_once(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    five(hubspot)
    hubspot.arm(Fault(at=3, action=hubspot.expire_tokens))
    records = read_api(oauth(contacts, hubspot, monkeypatch))
    assert ids(records) == [1, 2, 3, 4, 5]
    assert sum(request.path == "/oauth/v1/token" for request in hubspot.asked) == 2
    assert len(hubspot.pages()) == 5


def test_a_client_gets_its_token_by_its_own_credentials(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    five(hubspot)
    application = oauth(contacts, hubspot, monkeypatch)
    assert application.rest is not None
    own = replace(application.rest.auth, kind=AuthKind.client_credentials, refresh_token="")
    hubspot.arm(Fault(at=3, action=hubspot.expire_tokens))
    assert ids(read_api(asked(application, auth=own))) == [1, 2, 3, 4, 5]
    monkeypatch.setenv("APP_SECRET", "gehe1m-gehe1m")
    with pytest.raises(LakehouseError, match="token endpoint answered 400") as refused:
        read_api(asked(application, auth=own))
    said_nothing_secret(refused.value, "gehe1m-gehe1m")


def test_a_renewed_token_that_is_refused_is_not_renewed_again(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    five(hubspot)
    hubspot.arm(Fault(at=2, times=99, action=hubspot.expire_tokens))
    with pytest.raises(TerminalError, match="answered 401: The OAuth token"):
        read_api(oauth(contacts, hubspot, monkeypatch))
    assert sum(request.path == "/oauth/v1/token" for request in hubspot.asked) == 2


def test_a_wrong_client_secret_is_said_without_it(
    read_api: ReadApi, contacts: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = oauth(contacts, hubspot, monkeypatch)
    monkeypatch.setenv("APP_SECRET", "gehe1m-gehe1m")
    with pytest.raises(LakehouseError, match="token endpoint answered 400") as refused:
        read_api(wrong)
    said_nothing_secret(refused.value, "gehe1m-gehe1m", hubspot.refresh_token)


def test_a_wrong_token_ends_the_run_and_is_not_said(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(contacts)
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


def test_no_token_is_written_down(
    make_shop: MakeShop, contacts: SourceSpec, hubspot: HubSpot, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    shop = make_shop(oauth(contacts, hubspot, monkeypatch))
    five(hubspot)
    shop.run()
    known = [hubspot.token, hubspot.client_secret, hubspot.refresh_token, *hubspot._access]
    assert len(known) == 4
    patterns = [part for value in known for part in ("-e", value)]
    found = subprocess.run(
        ["grep", "-rlF", *patterns, str(tmp_path)], capture_output=True, check=False
    )
    assert found.stdout == b""
