from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.domain.spec import (
    AuthKind,
    AuthSpec,
    Envelope,
    HttpMethod,
    PageKind,
    PageSpec,
    RestSpec,
    SourceKind,
    SourceSpec,
    WatermarkSpec,
    WatermarkType,
)
from tasks.ingest.sources.validation import source_problems


def source(**changes: Any) -> SourceSpec:
    """A consistent source, with its `rest` changed."""
    rest = RestSpec(
        url="https://api.example.org",
        method=HttpMethod.POST,
        body={"filters": [{"value": "{since:ms}"}]},
        pages=PageSpec(PageKind.cursor, "next", body="after", keyset=True),
        auth=AuthSpec(AuthKind.bearer, token="{secret:TOKEN}"),
    )
    return SourceSpec(
        kind=SourceKind.rest,
        columns=["id", "at"],
        watermark=WatermarkSpec("at", "5 minutes", ["id"]),
        rest=replace(rest, **changes),
    )


def test_a_consistent_source_has_no_problem() -> None:
    assert source_problems(source()) == []


CASES: dict[str, tuple[SourceSpec, str]] = {
    "nothing to ask": (replace(source(), rest=None), "rest: says nothing about what to ask"),
    "no address": (source(url="api.example.org"), "rest.url: no address (https://...)"),
    "credentials in clear": (source(url="http://api.example.org"),
        "rest.url: http would send the credentials in clear; use https"),
    "body of a GET": (source(method=HttpMethod.GET), "rest.body: a GET has no body"),
    "no attempt": (source(attempts=0), "rest.attempts: fewer than 1"),
    "no time": (source(timeout_seconds=0.0), "rest.timeout_seconds: not above 0"),
    "no token": (source(auth=AuthSpec(AuthKind.bearer)),
        "rest.auth.token: is needed for kind bearer"),
    "a token in the file": (source(auth=AuthSpec(AuthKind.bearer, token="gehe1m")),
        "rest.auth.token: write ${secret:NAME}, not the secret itself"),
    "a header in the file": (source(headers={"Authorization": "Bearer gehe1m"}),
        "rest.headers.Authorization: write ${secret:NAME}, not the secret itself"),
    "a key in the query": (source(params={"api-key": "gehe1m"}),
        "rest.params.api-key: write ${secret:NAME}, not the secret itself"),
    "a password in the address": (source(url="https://u:gehe1m@api.example.org"),
        "rest.url: write ${secret:NAME}, not the secret itself"),
    "a token for a key pair": (
        source(auth=AuthSpec(AuthKind.client_credentials, token="{secret:T}", token_url="https://x",
                             client_id="i", client_secret="{secret:S}")),
        "rest.auth.token: has no meaning for kind client_credentials"),
    "cursor from nowhere": (source(pages=PageSpec(PageKind.cursor, body="after")),
        "rest.pages.path: says where the answer has what kind cursor needs"),
    "cursor to two places": (source(pages=PageSpec(PageKind.cursor, "next", "after", "after")),
        "rest.pages.param: name either a query parameter or, as body, a place in the body"),
    "offset without size": (source(pages=PageSpec(PageKind.offset, body="offset")),
        "rest.pages.size: is needed for kind offset"),
    "keyset of one page": (source(pages=PageSpec(keyset=True)),
        "rest.pages.keyset: has no meaning without pages"),
    "keyset without filter": (source(body={}),
        "rest.pages.keyset: needs a watermark, and {since} in params or body"),
    "filter without watermark": (replace(source(), watermark=None),
        "watermark: {since} in the request needs one"),
    "form of no instant": (source(body={"from": "{since:hours}"}),
        "rest: {since:hours} is none of s, ms and formats such as %Y-%m-%d"),
    "form of a number": (source(watermark_type=WatermarkType.number, initial_value="0"),
        "rest.watermark_type: {since:ms} is for instants"),
    "begin of another type": (source(initial_value="long ago"),
        "rest.initial_value: 'long ago' is of no type instant"),
    "envelope": (replace(source(), envelope=Envelope.debezium),
        "envelope: debezium is read from files, not from an API"),
    "watermark is not a column": (replace(source(), watermark=WatermarkSpec("seen")),
        "watermark.column: seen is not a column"),
    "rest of files": (SourceSpec("*.csv", ["id"], rest=RestSpec("https://x")),
        "rest: has no meaning for kind files"),
}  # fmt: skip


@pytest.mark.parametrize(("declared", "problem"), CASES.values(), ids=CASES)
def test_what_does_not_fit_together_is_named(declared: SourceSpec, problem: str) -> None:
    assert problem in source_problems(declared)
