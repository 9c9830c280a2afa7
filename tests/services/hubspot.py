"""A server that speaks HubSpot's CRM API, version 3, as HubSpot documents it, for contacts and deals.

Lists with a cursor, searches, batches of upserts, OAuth's token endpoint, and the errors: 401 for a token
that is wrong or expired, 429 with `Retry-After`, 400 past the 10,000th result of a search.
https://developers.hubspot.com/docs/api/crm/search and https://developers.hubspot.com/docs/api/error-handling

Tests put objects, arm faults and read which requests came.
"""

from __future__ import annotations

import itertools
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from tests.services.hubspot_objects import MODIFIED, Objects, RefusedError
from tests.services.web import served

RESULT_LIMIT = 10_000
"""How many results a search can page through."""
EXPIRES_SECONDS = 1800
LIST_LIMIT, SEARCH_LIMIT = 100, 200
"""The most objects that one page can have."""
_OBJECTS = "/crm/v3/objects/<any(contacts, deals):kind>"
_URLS = Map([
    Rule(_OBJECTS, endpoint="listing", methods=["GET"]),
    Rule(f"{_OBJECTS}/search", endpoint="search", methods=["POST"]),
    Rule(f"{_OBJECTS}/batch/upsert", endpoint="upsert", methods=["POST"]),
    Rule(f"{_OBJECTS}/<object_id>", endpoint="archive", methods=["DELETE"]),
    Rule("/oauth/v1/token", endpoint="token", methods=["POST"]),
])  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What befalls requests to the CRM.

    Attributes:
        at: The number of the first such request, from 1, counted since the fault was armed.
        times: How many requests in a row it befalls.
        status: The status of an error answer; 0 for none.
        retry_after: Seconds that a 429 asks to wait.
        body: The body in place of HubSpot's own.
        cut: The connection is closed half-way through the answer.
        seconds: How long the answer takes.
        action: Called before the answer is made: another client that writes meanwhile.
    """

    at: int = 1
    times: int = 1
    status: int = 0
    retry_after: int | None = None
    body: str | None = None
    cut: bool = False
    seconds: float = 0.0
    action: Callable[[], None] | None = None


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    params: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class HubSpot:
    """The running server.

    Attributes:
        url: Its base address.
        token: The access token of a private app; it never expires.
        client_id: With `client_secret` and `refresh_token`, what OAuth's token endpoint takes.
        objects: What the account holds.
        asked: The requests that came, tokens' ones included.
    """

    url: str
    token: str
    client_id: str
    client_secret: str
    refresh_token: str
    result_limit: int
    objects: Objects = field(default_factory=Objects)
    asked: list[Asked] = field(default_factory=list)
    _armed: list[tuple[Fault, Iterator[int]]] = field(default_factory=list)
    _access: dict[str, float] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the domain `crm` reads."""
        return {"HUBSPOT_URL": self.url, "HUBSPOT_TOKEN": self.token}

    def arm(self, fault: Fault) -> None:
        """Let a fault befall the requests to come."""
        self._armed.append((fault, itertools.count(1)))

    def disarm(self) -> None:
        """No fault befalls requests any more."""
        self._armed.clear()

    def expire_tokens(self) -> None:
        """Every access token that OAuth gave is expired from now on."""
        self._access.update(dict.fromkeys(self._access, time.time()))

    def reset(self) -> None:
        """As just started."""
        self.disarm()
        self.objects.clear()
        self.asked.clear()
        self._access.clear()

    def pages(self) -> list[Asked]:
        """The requests to the CRM that came."""
        return [request for request in self.asked if request.path.startswith("/crm/")]

    def answer(self, request: Request) -> Response:
        """The answer to one request, with whatever fault is due."""
        body = request.get_json(silent=True) if request.is_json else request.form.to_dict()
        self.asked.append(Asked(request.method, request.path, request.args.to_dict(), body))
        endpoint, named = _URLS.bind_to_environ(request.environ).match()
        if endpoint == "token":
            return self._token(request.form)
        fault = self._due()
        time.sleep(fault.seconds)
        if fault.action is not None:
            fault.action()
        refused = self._unauthorized(request)
        if refused is not None:
            return refused
        if fault.status:
            return _failed(fault)
        answer: Response = getattr(self, f"_{endpoint}")(request, body, **named)
        if fault.body is not None:
            return Response(fault.body, mimetype="text/html")
        return _cut(answer) if fault.cut else answer

    def _due(self) -> Fault:
        """The fault of this request; none of its effects where none is armed for it."""
        due = Fault()
        for fault, counter in self._armed:
            if fault.at <= next(counter) < fault.at + fault.times:
                due = fault
        return due

    def _unauthorized(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        until = self._access.get(token)
        if secrets.compare_digest(token, self.token) or (until or 0.0) > time.time():
            return None if scheme == "Bearer" else _error(401, "INVALID_AUTHENTICATION", _NO_TOKEN)
        if until is None:
            return _error(401, "INVALID_AUTHENTICATION", _NO_TOKEN)
        ago = int(time.time() - until)
        text = f"The OAuth token used to make this call expired {ago} second(s) ago."
        return _error(401, "EXPIRED_AUTHENTICATION", text)

    def _token(self, form: Mapping[str, str]) -> Response:
        client = form.get("client_id"), form.get("client_secret")
        if client != (self.client_id, self.client_secret):
            return _answer(
                {"status": "BAD_CLIENT_ID", "message": "missing or unknown client id"}, 400
            )
        grant = form.get("grant_type")
        known = grant == "refresh_token" and form.get("refresh_token") == self.refresh_token
        if not known and grant != "client_credentials":
            text = "missing or unknown refresh token"
            return _answer({"status": "BAD_REFRESH_TOKEN", "message": text}, 400)
        access = secrets.token_urlsafe(24)
        self._access[access] = time.time() + EXPIRES_SECONDS
        given = {"token_type": "bearer", "access_token": access, "expires_in": EXPIRES_SECONDS}
        return _answer(given | ({"refresh_token": self.refresh_token} if known else {}))

    def _listing(self, request: Request, body: Any, kind: str) -> Response:
        del body
        limit, after = int(request.args.get("limit", 10)), int(request.args.get("after", 0))
        if limit > LIST_LIMIT:
            return _error(400, "VALIDATION_ERROR", f"limit is more than {LIST_LIMIT}")
        names = [name for name in request.args.get("properties", "").split(",") if name]
        archived = request.args.get("archived") == "true"
        rest = [
            one for one in self.objects.listed(kind, names, archived=archived)
            if int(one["id"]) >= after
        ]  # fmt: skip
        following = {"next": {"after": rest[limit]["id"]}} if len(rest) > limit else None
        return _answer({"results": rest[:limit]} | ({"paging": following} if following else {}))

    def _search(self, request: Request, body: Any, kind: str) -> Response:
        del request
        limit, after = int(body.get("limit", 10)), int(body.get("after") or 0)
        if limit > SEARCH_LIMIT or after + limit > self.result_limit:
            text = f"limit is more than {SEARCH_LIMIT}, or the page ends after {self.result_limit}"
            return _error(400, "VALIDATION_ERROR", text)
        try:
            found = self.objects.found(kind, body)
        except (RefusedError, KeyError, TypeError) as error:
            return _error(400, "VALIDATION_ERROR", f"Invalid input JSON: {error}")
        page: dict[str, Any] = {"total": len(found), "results": found[after : after + limit]}
        if len(found) > after + limit:
            page["paging"] = {"next": {"after": str(after + limit)}}
        return _answer(page)

    def _upsert(self, request: Request, body: Any, kind: str) -> Response:
        """Unlike HubSpot's, this takes the instant of the change where it is among the properties."""
        del request
        for one in body["inputs"]:
            properties = dict(one["properties"])
            updated = properties.pop(MODIFIED[kind], None)
            self.objects.put(kind, str(one["id"]), updated, **properties)
        return _answer({"status": "COMPLETE", "results": [{"id": i["id"]} for i in body["inputs"]]})

    def _archive(self, request: Request, body: Any, kind: str, object_id: str) -> Response:
        del request, body
        self.objects.archive(kind, object_id)
        return Response(status=204)


_NO_TOKEN = (
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find "
    "more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview"
)


def _answer(content: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content), status, mimetype="application/json")


def _error(status: int, category: str, message: str) -> Response:
    correlation = secrets.token_hex(8)
    content = {"status": "error", "message": message, "correlationId": correlation}
    return _answer(content | {"category": category}, status)


def _failed(fault: Fault) -> Response:
    if fault.status != 429:
        return _error(fault.status, "INTERNAL_ERROR", "internal error")
    limited = {
        "status": "error", "message": "You have reached your secondly limit.",
        "errorType": "RATE_LIMIT", "correlationId": secrets.token_hex(8), "policyName": "SECONDLY",
    }  # fmt: skip
    answer = _answer(limited, 429)
    if fault.retry_after is not None:
        answer.headers["Retry-After"] = str(fault.retry_after)
    return answer


def _cut(whole: Response) -> Response:
    """The first half of an answer that announces all of it."""
    content = whole.get_data()
    half = Response(content[: len(content) // 2], mimetype="application/json")
    half.headers["Content-Length"] = str(len(content))
    return half


@contextmanager
def hubspot_server(
    folder: Path | None = None, *, result_limit: int = RESULT_LIMIT
) -> Iterator[HubSpot]:
    """Start the server on loopback, and stop it with the block.

    Args:
        folder: Not used: everything is kept in memory.
        result_limit: How many results a search can page through.
    """
    del folder
    server: HubSpot

    @Request.application
    def application(request: Request) -> Response:
        try:
            return server.answer(request)
        except HTTPException as error:
            return _error(error.code or 500, "OBJECT_NOT_FOUND", error.name)

    given = {name: secrets.token_urlsafe(16) for name in ("id", "secret", "refresh")}
    with served(application) as url:
        server = HubSpot(
            url=url,
            token=f"pat-{secrets.token_urlsafe(24)}",
            client_id=given["id"],
            client_secret=given["secret"],
            refresh_token=given["refresh"],
            result_limit=result_limit,
        )
        yield server
