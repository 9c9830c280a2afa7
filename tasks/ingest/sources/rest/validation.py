"""Consistency of a REST source's declaration, found without asking the API."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from storage import secrets
from tasks.domain.spec import (
    AuthKind,
    AuthSpec,
    Envelope,
    HttpMethod,
    PageKind,
    RestSpec,
    SourceSpec,
    WatermarkType,
)
from tasks.ingest.sources.rest.since import UNITS, forms, parsed
from tasks.ingest.sources.secrets import REFER, has_unreferenced, unreferenced

LOOPBACK = ("127.0.0.1", "::1", "localhost")
NEEDED = {
    AuthKind.bearer: ("token",),
    AuthKind.api_key: ("token", "name"),
    AuthKind.client_credentials: ("token_url", "client_id", "client_secret"),
    AuthKind.refresh_token: ("token_url", "client_id", "client_secret", "refresh_token"),
}
SECRET = ("token", "client_secret", "refresh_token")
PLACED = (PageKind.cursor, PageKind.page, PageKind.offset)
"""Ways of paging whose next request holds a value of its own."""


def rest_problems(source: SourceSpec) -> list[str]:
    """What does not fit together, each with its key."""
    if source.rest is None:
        return ["rest: says nothing about what to ask"]
    found = [*_request(source.rest), *_auth(source.rest), *_pages(source), *_since(source)]
    if source.envelope is not Envelope.none:
        found.append(f"envelope: {source.envelope} is read from files, not from an API")
    if source.encoding != "utf-8":
        found.append("encoding: JSON of an API is UTF-8")
    return found


def _request(spec: RestSpec) -> Iterator[str]:
    address = urlsplit(spec.url)
    is_secret = spec.url.startswith(secrets.reference("")[:-1])
    if not is_secret and (address.scheme not in ("http", "https") or not address.hostname):
        yield "rest.url: no address (https://...)"
    if address.scheme == "http" and address.hostname not in LOOPBACK and spec.auth.kind != "none":
        yield "rest.url: http would send the credentials in clear; use https"
    if has_unreferenced(spec.url):
        yield f"rest.url: {REFER}"
    for key, texts in (
        ("headers", spec.headers),
        ("params", spec.params),
        ("auth.fields", spec.auth.fields),
    ):
        yield from (f"rest.{key}.{name}: {REFER}" for name in unreferenced(texts))
    if spec.method is HttpMethod.GET and spec.body:
        yield "rest.body: a GET has no body"
    if spec.attempts < 1:
        yield "rest.attempts: fewer than 1"
    for name in ("timeout_seconds", "backoff_seconds", "max_wait_seconds"):
        if getattr(spec, name) <= 0:
            yield f"rest.{name}: not above 0"
    if spec.requests_per_second < 0:
        yield "rest.requests_per_second: below 0"


def _auth(spec: RestSpec) -> Iterator[str]:
    auth: AuthSpec = spec.auth
    needed = NEEDED.get(auth.kind, ())
    yield from (
        f"rest.auth.{name}: is needed for kind {auth.kind}"
        for name in needed
        if not getattr(auth, name)
    )
    known = {name for names in NEEDED.values() for name in names} - {"name"}
    yield from (
        f"rest.auth.{name}: has no meaning for kind {auth.kind}"
        for name in sorted(known - set(needed))
        if getattr(auth, name)
    )
    yield from (
        f"rest.auth.{name}: {REFER}"
        for name in SECRET
        if getattr(auth, name) and secrets.reference("")[:-1] not in getattr(auth, name)
    )


def _pages(source: SourceSpec) -> Iterator[str]:
    spec = source.rest or RestSpec()
    pages, kind = spec.pages, spec.pages.kind
    if kind in (PageKind.cursor, PageKind.next_link) and not pages.path:
        yield f"rest.pages.path: says where the answer has what kind {kind} needs"
    if kind in PLACED and bool(pages.param) == bool(pages.body):
        yield "rest.pages.param: name either a query parameter or, as body, a place in the body"
    if pages.body and spec.method is HttpMethod.GET:
        yield "rest.pages.body: a GET has no body"
    if kind is PageKind.offset and pages.size < 1:
        yield "rest.pages.size: is needed for kind offset"
    if pages.keyset and kind is PageKind.none:
        yield "rest.pages.keyset: has no meaning without pages"
    if pages.keyset and (source.watermark is None or not forms([spec.params, spec.body])):
        yield "rest.pages.keyset: needs a watermark, and {since} in params or body"


def _since(source: SourceSpec) -> Iterator[str]:
    spec = source.rest or RestSpec()
    asked = forms([spec.params, spec.body])
    if asked and source.watermark is None:
        yield "watermark: {since} in the request needs one"
    for form in sorted(set(asked)):
        if form and spec.watermark_type is WatermarkType.number:
            yield f"rest.watermark_type: {{since:{form}}} is for instants"
        elif form and form not in UNITS and "%" not in form:
            yield f"rest: {{since:{form}}} is none of s, ms and formats such as %Y-%m-%d"
    if asked and parsed(spec.initial_value, spec.watermark_type) is None:
        yield f"rest.initial_value: {spec.initial_value!r} is of no type {spec.watermark_type}"
