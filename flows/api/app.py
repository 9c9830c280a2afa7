"""The application: what a configuration opens, behind keys and limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException

from conf.schema import Api, Config
from flows.api.inbox import Inbox
from flows.api.keys import HEADER, Keys, RateLimit, Role
from flows.api.problems import (
    Refusal,
    http_error,
    invalid_parameters,
    platform_error,
    refused,
    unexpected,
)
from flows.api.push import Guard, outcomes_of, push_router, refuse_stopped
from flows.api.reads import Wanted, newest, page, within
from flows.api.record_validation import RecordValidator
from flows.api.segments import Segments
from flows.reading import Reader
from flows.report.quality_report import report_path
from flows.runtime import Runtime, code_version, new_run
from storage.errors import ConfigurationError, LakehouseError
from tasks.domain.spec import EndpointSpec
from tasks.landing.folders import is_remote

RUNS = "ops.runs"
PATIENCE_SECONDS = 5.0
"""How long a read waits for others."""
Limit = Annotated[int | None, Query(ge=1, description="Rows of the answer")]
_KEY = APIKeyHeader(name=HEADER, auto_error=False)


def make_app(config: Config) -> FastAPI:
    """The API of a domain's tables.

    Raises:
        ConfigurationError: A limit lets nothing through, a key is not set, another process takes the records
            already, or they would go to an object store.
    """
    _refuse_limits(config.api)
    keys = Keys.of({Role.write: config.api.write_keys, Role.read: config.api.read_keys})
    rate = RateLimit(config.api.requests_per_second, config.api.burst)
    guard = partial(_guard, keys, rate)
    pushed = _pushed(config)
    validator = RecordValidator(config.domain, pushed) if pushed else None
    inbox = _inbox(config, validator) if validator else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if inbox is not None:
            inbox.close()

    app = FastAPIOffline(
        title=f"lakehouse: {config.domain.name}",
        description=config.domain.description,
        version=code_version(),
        lifespan=lifespan,
        redoc_url=None,
    )
    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid_parameters)
    app.add_exception_handler(LakehouseError, platform_error)
    app.add_exception_handler(Exception, unexpected)
    app.include_router(_health(config, inbox))
    if validator is not None and inbox is not None:
        app.include_router(push_router(validator, inbox, config.api, guard))
    app.include_router(_reads(config, guard))
    return app


def _refuse_limits(api: Api) -> None:
    """Refuse limits that would let nothing through."""
    at_least = {
        "requests_per_second": 0.001, "burst": 1, "max_reads": 1, "max_rows": 1,
        "max_batch_records": 1, "max_waiting_records": api.max_batch_records,
    }  # fmt: skip
    for name, least in at_least.items():
        found = getattr(api, name)
        if found < least:
            of = " (api.max_batch_records)" if name == "max_waiting_records" else ""
            raise ConfigurationError(
                f"api.{name} = {found:g} is less than {least:g}{of}",
                advice=f"Give at least {least:g}.",
            )


def _guard(keys: Keys, rate: RateLimit, role: Role) -> Callable[..., Awaitable[None]]:
    # On the event loop: the threads may all be busy with reads while records are pushed.
    async def allowed(key: Annotated[str | None, Security(_KEY)] = None) -> None:
        rate.take(keys.who(key, role))

    return allowed


def _pushed(config: Config) -> str | None:
    """The bronze table that takes records; None where the domain declares none.

    Raises:
        ConfigurationError: It declares several.
    """
    found = [name for name, source in config.domain.bronze.items() if source.push is not None]
    if len(found) > 1:
        raise ConfigurationError(
            f"domain {config.domain.name}: {' and '.join(found)} declare push",
            advice="One table of a domain takes records from the API.",
        )
    return found[0] if found else None


def _inbox(config: Config, validator: RecordValidator) -> Inbox:
    push = config.domain.bronze[validator.table].push
    assert push is not None  # noqa: S101 - it was chosen for that
    if is_remote(config.paths.landing):
        raise ConfigurationError(
            f"paths.landing: {config.paths.landing} is in an object store; records that are pushed go to a "
            "local disk",
            advice="Give a local folder to the API and to the runs of this domain.",
        )
    segments = Segments(Path(config.paths.landing), push.file, validator.id_of)
    return Inbox(segments, config.api, outcomes_of(Runtime(config, new_run()), validator.table))


def _health(config: Config, inbox: Inbox | None) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/health", summary="Whether records can be taken; needs no key")
    async def health() -> dict[str, Any]:
        """Answers 503 when records are not written any more."""
        if inbox is not None:
            refuse_stopped(inbox)
        waiting = {} if inbox is None else {"waiting_records": inbox.waiting_rows}
        return {"status": "ok", "domain": config.domain.name, **waiting}

    return router


def _one_of(most: int) -> Callable[[], AsyncIterator[None]]:
    """Let at most `most` requests proceed at once; others wait on the event loop, which takes no thread."""
    free = asyncio.Semaphore(most)

    async def turn() -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(free.acquire(), PATIENCE_SECONDS)
        except TimeoutError:
            raise Refusal(
                503, f"{most} other reads are not done yet",
                advice="Ask again later, with filters and fewer columns.", headers={"Retry-After": "5"},
            ) from None  # fmt: skip
        try:
            yield
        finally:
            free.release()

    return turn


def _reads(config: Config, guard: Guard) -> APIRouter:
    limits = [Depends(guard(Role.read)), Depends(_one_of(config.api.max_reads))]
    router = APIRouter(prefix="/api/v1", tags=["read"], dependencies=limits)
    reader = Reader(config, lambda _: None)
    most = config.api.max_rows

    @router.get("/tables", summary="The tables of the lake, with version and rows")
    def tables() -> dict[str, Any]:
        store = reader.store
        return {
            "tables": [
                {
                    "table": ref.label,
                    "version": str(store.head(ref).version),
                    "rows": store.stats(ref).rows,
                    "columns": {f.name: str(f.type) for f in store.columns(ref)},
                }
                for ref in reader.tables()
            ]
        }

    @router.get("/tables/{table}/rows", summary="Rows of a table, a page at a time")
    def rows(
        table: str,
        columns: Annotated[str, Query(description="Names, separated by commas")] = "",
        filter: Annotated[
            list[str] | None,
            Query(description="column:operator:value with eq ne lt le gt ge in null; all hold"),
        ] = None,
        limit: Limit = None,
        cursor: str = "",
        version: str = "",
    ) -> dict[str, Any]:
        names = [c for c in columns.split(",") if c]
        return page(
            reader, table, Wanted(names, filter or [], within(limit, most), cursor, version)
        )

    @router.get("/runs", summary="The newest runs of the domain")
    def runs(limit: Limit = None) -> dict[str, Any]:
        if RUNS not in {ref.label for ref in reader.tables()}:
            return {"runs": []}
        return {"runs": newest(reader, RUNS, "started_at", within(limit, most))}

    @router.get("/quality", summary="The quality report of the newest run")
    def quality() -> dict[str, Any]:
        try:
            report: dict[str, Any] = json.loads(report_path(config).read_text("utf-8"))
        except FileNotFoundError:
            raise Refusal(404, "no run has written a report yet", advice="Run it.") from None
        return report

    for name, endpoint in config.domain.endpoints.items():
        router.add_api_route(
            f"/{name}", _endpoint(reader, endpoint, config.api.max_rows),
            summary=f"Rows of {endpoint.table}",
            openapi_extra={"parameters": _parameters(endpoint)},
        )  # fmt: skip
    return router


def _endpoint(reader: Reader, endpoint: EndpointSpec, most: int) -> Callable[..., dict[str, Any]]:
    """Rows of one table, by the filters that the domain declares."""
    instant = {"since": "ge", "until": "lt"} if endpoint.instant else {}
    own = {*endpoint.equals, *instant, "limit", "cursor"}

    def rows(request: Request, limit: Limit = None, cursor: str = "") -> dict[str, Any]:
        given = dict(request.query_params)
        if strays := sorted(set(given) - own):
            raise Refusal(
                422, f"{strays[0]} is not a parameter here",
                advice=f"There are {', '.join(sorted(own))}.",
            )  # fmt: skip
        filters = [f"{name}:eq:{given[name]}" for name in endpoint.equals if name in given]
        filters += [
            f"{endpoint.instant}:{operator}:{given[name]}"
            for name, operator in instant.items()
            if name in given
        ]
        return page(reader, endpoint.table, Wanted((), filters, within(limit, most), cursor))

    return rows


def _parameters(endpoint: EndpointSpec) -> list[dict[str, Any]]:
    names = [*endpoint.equals, *(("since", "until") if endpoint.instant else ())]
    return [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
