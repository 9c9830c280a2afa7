"""Pages of an API through dlt's REST client: pagination, waits and retries, authentication.

Imported where a REST source is read, since dlt takes seconds to import. Of dlt nothing else is used: no
pipeline runs, nothing is stored, and its telemetry is off.
https://dlthub.com/docs/general-usage/http/rest-client
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dlt.common import jsonpath
from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
from dlt.sources.helpers.requests import (
    ChunkedEncodingError,
    ConnectionError,
    RequestException,
    Response,
    Timeout,
)
from dlt.sources.helpers.requests.retry import Client
from dlt.sources.helpers.rest_client import paginators
from dlt.sources.helpers.rest_client.client import RESTClient
from requests.exceptions import SSLError
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from storage import secrets
from storage.errors import InputError, LakehouseError
from tasks.domain.spec import PageKind, PageSpec, RestSpec
from tasks.ingest.sources.json_faults import Faulty, judged, parse_leniently
from tasks.ingest.sources.rest.auth import authentication
from tasks.ingest.sources.rest.errors import is_overload, refusal, unreached

NO_CONTENT = 204
SHOWN = 8
"""Keys in a message."""


@dataclass(frozen=True)
class Page:
    """The records of one answer, with every number as it was written, and whether more follow."""

    records: list[dict[str, Any] | Faulty]
    has_next: bool


class Connection:
    """One API, asked page by page.

    Args:
        spec: What to ask, and how.
        place: The table that asks, for people.

    Raises:
        ConfigurationError: A secret is not set.
    """

    def __init__(self, spec: RestSpec, place: str) -> None:
        self._spec = spec
        self._url = secrets.reveal(spec.url)
        shown = urlsplit(self._url)
        self.who = f"{place}: {spec.method} {shown.scheme}://{shown.hostname}" + (
            f":{shown.port}" if shown.port else ""
        ) + f"/{spec.path.lstrip('/')}"  # fmt: skip
        session = Client(
            request_timeout=spec.timeout_seconds,
            raise_for_status=False,
            status_codes=(),
            exceptions=(),
            request_max_attempts=spec.attempts,
            request_backoff_factor=spec.backoff_seconds,
            request_max_retry_delay=spec.max_wait_seconds,
            retry_condition=self._is_worth_a_retry,
        ).session
        self._client = _Client(
            self._url,
            headers=secrets.revealed(spec.headers),
            auth=authentication(spec.auth, session, place),
            session=session,
            config=RuntimeConfiguration(),
        )
        self._client.who, self._client.records = self.who, spec.records or "$"
        self._last = 0.0

    def pages(self, params: Mapping[str, str], body: Mapping[str, Any]) -> Iterator[Page]:
        """The pages of one query, in their order.

        Raises:
            TransientError: The server cannot be reached, or does not give a page after all attempts.
            TerminalError: It refuses the request, or does not know who asks.
            InputError: An answer is not as declared, or its pages do not end.
        """
        found = self._client.paginate(
            self._spec.path,
            method=self._spec.method.value,
            params=secrets.revealed_in(params),
            json=secrets.revealed_in(body) or None,
            paginator=_paginator(self._spec.pages),
            data_selector="$",
            hooks={"response": []},
            allow_redirects=False,
        )
        asked: set[str] = set()
        while (page := self._next(found)) is not None:
            more = page.paginator.has_next_page
            yield Page(list(page), more)
            if more:
                self._refuse_stray(page.request, asked)

    def _next(self, found: Iterator[Any]) -> Any:
        """The next page, not sooner than the declared rate allows."""
        if self._spec.requests_per_second:
            pause = self._last + 1 / self._spec.requests_per_second - time.monotonic()
            time.sleep(max(0.0, pause))
        self._last = time.monotonic()
        failure: LakehouseError
        try:
            return next(found, None)
        except RequestException as error:
            failure = unreached(self.who, error)
        except _NoContentError:
            return None
        except ValueError:  # of a paginator; its text has the whole answer
            failure = InputError(
                f"{self._client.at}: the answer lacks what leads to the next page",
                advice="Check `rest.pages` of the source.",
            )
        raise failure  # out of the handler, whose error may hold a key or rows

    def _refuse_stray(self, request: Any, asked: set[str]) -> None:
        """Credentials go to no other server, and pages that lead back to one before have no end."""
        there, own = urlsplit(request.url), urlsplit(self._url)
        if (there.scheme, there.netloc) != (own.scheme, own.netloc):
            raise InputError(
                f"{self.who}: the next page is at another server, {there.scheme}://{there.hostname}",
                advice="Set `rest.url` to that server if it is yours.",
            )
        following = json.dumps([request.url, request.params, request.json], default=str)
        if following in asked:
            raise InputError(
                f"{self.who}: the pages do not end, one leads back to another before it",
                advice="Check `rest.pages` of the source.",
            )
        asked.add(following)

    def _is_worth_a_retry(self, response: Any, error: BaseException | None) -> bool:
        if response is not None:
            return is_overload(response.status_code) and self._is_bearable(response)
        lost = isinstance(error, ConnectionError | Timeout | ChunkedEncodingError)
        return lost and not isinstance(error, SSLError)

    def _is_bearable(self, response: Any) -> bool:
        try:
            wait = Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
        except InvalidHeader:
            wait = 0.0
        return wait <= self._spec.max_wait_seconds


class _NoContentError(Exception):
    """The server says that there is nothing, and nothing more."""


class _Client(RESTClient):
    """dlt's client, strict about answers: none is taken for an empty one, and no digit is lost.

    A record at fault is told from the others of its page.
    """

    who = ""
    records = "$"
    page = 0
    _known: frozenset[str] = frozenset()

    @property
    def at(self) -> str:
        """The page that was answered last, for people."""
        return f"{self.who}: page {self.page}"

    def extract_response(self, response: Response, data_selector: Any) -> list[Any]:
        del data_selector
        if not 200 <= response.status_code < 300:
            raise refusal(self.who, response)
        self.page += 1
        if response.status_code == NO_CONTENT:
            raise _NoContentError
        try:
            body = parse_leniently(response.content)
        except ValueError as error:
            begin = secrets.hidden(response.content[:80].decode("utf-8", "replace"))
            raise InputError(
                f"{self.at}: the answer is not JSON ({error}): it begins with {begin!r}",
                advice="Check `rest.url` and `path`; a proxy in between may have answered.",
            ) from None
        records = self._listed(body)
        found = [
            judged(record, f"record {n} of page {self.page}") for n, record in enumerate(records, 1)
        ]
        if self.page == 1 and records and not any(isinstance(record, dict) for record in records):
            raise InputError(
                f"{self.at}: record 1 is not a JSON object",
                advice="Set the source's `rest.records` to a list of objects.",
            )
        return found

    def _listed(self, body: Any) -> list[Any]:
        """The records of an answer.

        An answer without the list has no records if it has only keys of earlier answers: one with other keys
        may be an error.
        """
        found = jsonpath.find_values(self.records, body)
        keys = frozenset(body) if isinstance(body, dict) else frozenset()
        if not found and not (self.page > 1 and isinstance(body, dict) and keys <= self._known):
            has = f"; it has {', '.join(sorted(keys)[:SHOWN])}" if keys else ""
            raise InputError(
                f"{self.at}: the answer has no `{self.records}`{has}",
                advice="Set the source's `rest.records` to where the records are.",
            )
        self._known |= keys
        records = found[0] if len(found) == 1 else found
        if records is None:
            return []
        return records if isinstance(records, list) else [records]


def _paginator(pages: PageSpec) -> paginators.BasePaginator:
    param, body = pages.param or None, pages.body or None
    match pages.kind:
        case PageKind.cursor:
            return paginators.JSONResponseCursorPaginator(
                pages.path, cursor_param=param, cursor_body_path=body
            )
        case PageKind.next_link:
            return paginators.JSONLinkPaginator(pages.path)
        case PageKind.header_link:
            return paginators.HeaderLinkPaginator()
        case PageKind.page:
            return paginators.PageNumberPaginator(
                base_page=pages.first, page_param=param, page_body_path=body,
                total_path=pages.total or None,
            )  # fmt: skip
        case PageKind.offset:
            return paginators.OffsetPaginator(
                pages.size, offset_param=param, offset_body_path=body, limit_param=pages.size_param,
                total_path=pages.total or None,
            )  # fmt: skip
    return paginators.SinglePagePaginator()
