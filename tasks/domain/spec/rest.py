"""How a REST source is asked: address, request, pages, authentication, limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from tasks.domain.spec.limits import MUST_GIVE


class HttpMethod(StrEnum):
    """How pages are asked for."""

    GET = "GET"
    POST = "POST"


class AuthKind(StrEnum):
    """How a request says who asks."""

    none = "none"
    bearer = "bearer"
    """`token`, as `Authorization: Bearer`."""
    api_key = "api_key"
    """`token`, in the header or query parameter `name`."""
    client_credentials = "client_credentials"
    """An access token that OAuth 2.0 gives for `client_id` and `client_secret` (RFC 6749, 4.4)."""
    refresh_token = "refresh_token"  # noqa: S105 - the name of a grant
    """An access token that OAuth 2.0 gives for `refresh_token` (RFC 6749, 6)."""


class Place(StrEnum):
    """Where in a request something stands."""

    header = "header"
    query = "query"


class PageKind(StrEnum):
    """What leads from a page to the next one."""

    none = "none"
    """There is one page."""
    cursor = "cursor"
    """A value in the answer, sent back in the next request."""
    next_link = "next_link"
    """An address in the answer's body."""
    header_link = "header_link"
    """An address in the answer's header `Link`, with `rel="next"` (RFC 8288)."""
    page = "page"
    """A number that grows by one."""
    offset = "offset"
    """A number that grows by `size`."""


class WatermarkType(StrEnum):
    """What the values of the watermark's column are."""

    instant = "instant"
    """ISO 8601, UTC where no zone is given."""
    number = "number"


@dataclass
class AuthSpec:
    """How a REST source is told who asks. Secrets are references: `${secret:NAME}`."""

    kind: AuthKind = AuthKind.none
    """The way to authenticate."""
    token: str = field(default="", repr=False)
    """The token or the key (`bearer`, `api_key`)."""
    name: str = "X-API-Key"
    """Header or query parameter of the key (`api_key`)."""
    place: Place = Place.header
    """Where the key stands (`api_key`)."""
    token_url: str = ""
    """Address of the token endpoint (`client_credentials`, `refresh_token`)."""
    client_id: str = field(default="", repr=False)
    """Of the application at the token endpoint."""
    client_secret: str = field(default="", repr=False)
    """Of the application at the token endpoint."""
    refresh_token: str = field(default="", repr=False)
    """A refresh token that stays valid when it is used (`refresh_token`)."""
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    """Further fields of the request for a token, for example `{scope: read}`."""


@dataclass
class PageSpec:
    """How the pages of a REST source follow each other."""

    kind: PageKind = PageKind.none
    """What leads from a page to the next one."""
    path: str = ""
    """JSON path of the cursor or of the address in the answer, for example `paging.next.after` (`cursor`,
    `next_link`)."""
    param: str = ""
    """Query parameter that takes the cursor, the page's number or the offset."""
    body: str = ""
    """The same, for a place in the JSON body, for example `after`."""
    first: int = 0
    """Number of the first page (`page`)."""
    size: int = 0
    """Records on a page, sent with each request (`offset`)."""
    size_param: str = "limit"
    """Query parameter that takes `size` (`offset`)."""
    total: str = ""
    """JSON path of the number of pages (`page`) or records (`offset`) in the answer; without it an empty page
    is the last."""
    keyset: bool = False
    """Ask for the next page from the last watermark of the page before, and by the cursor only where a page
    holds one value alone. The API has to sort by the watermark, ascending."""


@dataclass
class RestSpec:
    """A REST source: one kind of record of an API that speaks JSON.

    Texts of `params` and `body` may hold `{since}`, the value from which on records are asked for: an instant
    as `2026-03-01T10:00:00.000Z`, `{since:s}` and `{since:ms}` as seconds and milliseconds since 1970,
    `{since:%Y-%m-%d}` as such a format of Python's `strftime` says, in UTC.
    """

    url: str = MUST_GIVE
    """Address of the API, `https://...`."""
    path: str = ""
    """What follows it."""
    method: HttpMethod = HttpMethod.GET
    """How pages are asked for."""
    params: dict[str, str] = field(default_factory=dict)
    """Query parameters."""
    body: dict[str, Any] = field(default_factory=dict)
    """JSON body (`POST`)."""
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    """Further headers."""
    records: str = ""
    """JSON path of the list of records in the answer, such as `results`; the answer itself where empty."""
    unnest: list[str] = field(default_factory=list)
    """Objects in a record whose keys become columns of it. One that the record has already stays inside."""
    pages: PageSpec = field(default_factory=PageSpec)
    """How pages follow each other."""
    auth: AuthSpec = field(default_factory=AuthSpec)
    """Who asks."""
    watermark_type: WatermarkType = WatermarkType.instant
    """What the values of the watermark's column are."""
    initial_value: str = "1970-01-01T00:00:00Z"
    """What `{since}` is before anything was taken in."""
    timeout_seconds: float = 60.0
    """How long the server may be silent."""
    attempts: int = 5
    """How often a page is asked for that the server cannot give (429, 5xx, lost connections)."""
    backoff_seconds: float = 1.0
    """Before the second attempt, doubled for each further one; `Retry-After` of the server goes before."""
    max_wait_seconds: float = 60.0
    """The longest of these waits. A server that asks for more ends the run, which can be repeated then."""
    requests_per_second: float = 0.0
    """How many requests are sent in a second at most; 0 for no limit."""
