"""Each way of paging and of authenticating, against a server that has all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from storage.errors import InputError, LakehouseError
from tasks.domain.spec import AuthKind, AuthSpec, HttpMethod, PageKind, PageSpec, Place, RestSpec
from tasks.ingest.sources.json_faults import Faulty
from tasks.ingest.sources.rest.client import Connection
from tests.services.web import served

COUNT, SIZE = 5, 2
KEY = "k/e+y 1"


@Request.application
def numbers(request: Request) -> Response:
    """The numbers from 0, two on a page; `kind` in the path says how pages follow."""
    kind = request.path.rpartition("/")[2]
    asked = {**request.args.to_dict(), **(request.get_json(silent=True) or {})}
    if kind == "key" and KEY not in (asked.get("key"), request.headers.get("X-API-Key")):
        return Response(json.dumps({"detail": "who is it?"}), 403, mimetype="application/json")
    if kind == "moved":
        return Response(status=302, headers={"Location": "http://127.0.0.1:9/"})
    start = int(asked.get("offset") or asked.get("after") or 0)
    start = start + (int(asked["page"]) - 1) * SIZE if "page" in asked else start
    more = start + SIZE < COUNT
    link = f"http://{request.host}{request.path}?offset={start + SIZE}"
    strays = {"stray": "http://localhost:9/x", "circle": request.url}
    body: dict[str, Any] = {
        "rows": [{"n": n} for n in range(start, min(start + SIZE, COUNT))],
        "total": COUNT, "after": str(start + SIZE) if more else None,
        "next": strays.get(kind, link if more else None),
    }  # fmt: skip
    answer = Response(json.dumps(body), mimetype="application/json")
    if more:
        answer.headers["Link"] = f'<{link}>; rel="next"'
    return answer


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(numbers) as at:
        yield at


def found(url: str, kind: str, **spec: Any) -> list[int]:
    """The numbers that a connection gets."""
    asked = RestSpec(url, f"v1/{kind}", records="rows", attempts=1, **spec)
    pages = Connection(asked, "bronze.numbers").pages(asked.params, asked.body)
    return [_number(record) for page in pages for record in page.records]


def _number(record: dict[str, Any] | Faulty) -> int:
    assert not isinstance(record, Faulty)
    return int(record["n"])


@pytest.mark.parametrize(
    "pages",
    [
        PageSpec(PageKind.cursor, "after", "after"),
        PageSpec(PageKind.next_link, "next"),
        PageSpec(PageKind.header_link),
        PageSpec(PageKind.page, param="page", first=1),
        PageSpec(PageKind.offset, param="offset", size=SIZE),
        PageSpec(PageKind.offset, param="offset", size=SIZE, total="total"),
    ],
    ids=lambda pages: f"{pages.kind}{pages.total}",
)
def test_every_way_of_paging_gives_each_record_once(url: str, pages: PageSpec) -> None:
    assert found(url, "plain", pages=pages) == list(range(COUNT))


@pytest.mark.parametrize("kind", [PageKind.cursor, PageKind.page, PageKind.offset])
def test_what_leads_to_the_next_page_may_stand_in_the_body(url: str, kind: PageKind) -> None:
    name = {PageKind.cursor: "after"}.get(kind, kind.value)
    pages = PageSpec(kind, "after", body=name, first=1, size=SIZE)
    assert found(url, "plain", method=HttpMethod.POST, pages=pages) == list(range(COUNT))


@pytest.mark.parametrize(
    ("kind", "pages", "complaint"),
    [
        ("stray", PageSpec(PageKind.next_link, "next"), "next page is at another server, http://local"),
        ("circle", PageSpec(PageKind.next_link, "next"), "the pages do not end"),
        ("plain", PageSpec(PageKind.offset, param="offset", size=SIZE, total="count"),
         "lacks what leads to the next page"),
    ],
)  # fmt: skip
def test_pages_that_lead_astray_are_refused(
    url: str, kind: str, pages: PageSpec, complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        found(url, kind, pages=pages)


def test_a_redirect_is_not_followed(url: str) -> None:
    with pytest.raises(LakehouseError, match="answered 302"):
        found(url, "moved")


@pytest.mark.parametrize("place", list(Place))
def test_a_key_is_sent_in_the_header_or_the_query(
    url: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "key" if place is Place.query else AuthSpec.name
    key = AuthSpec(AuthKind.api_key, token="{secret:NUMBERS_KEY}", place=place, name=name)
    monkeypatch.setenv("NUMBERS_KEY", KEY)
    assert found(url, "key", auth=key) == [0, 1]
    assert found(url, "key", method=HttpMethod.POST, body={"key": "{secret:NUMBERS_KEY}"}) == [0, 1]
    monkeypatch.setenv("NUMBERS_KEY", "another key")
    with pytest.raises(LakehouseError, match=r"answered 403: who is it\?") as refused:
        found(url, "key", auth=key)
    assert "another" not in str(refused.value)
