"""Calls that take records: judged, written to the disk, then acknowledged."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import Headers

from conf.schema import Api
from flows.api.inbox import Inbox
from flows.api.index import Sealed, SegmentOutcomes
from flows.api.keys import Role
from flows.api.problems import Problem, Refusal
from flows.api.record_validation import RecordValidator
from flows.api.segments import Record
from flows.runtime import Runtime, new_run
from tasks.ingest.sources.json_text import parse
from tasks.records import ledger
from tasks.records.decisions import rejected

JSON = "application/json"
Guard = Callable[[Role], Callable[..., Awaitable[None]]]


def push_router(validator: RecordValidator, inbox: Inbox, settings: Api, guard: Guard) -> APIRouter:
    """The calls that take records of one bronze table."""
    router = APIRouter(prefix="/api/v1", tags=["push"])
    schema = validator.model.model_json_schema()
    writer = Depends(guard(Role.write))
    # One thread: the event loop goes on while a large body is judged, and the validator has one engine.
    judges = ThreadPoolExecutor(max_workers=1, thread_name_prefix="judge")

    async def in_thread(judge: Callable[[], list[Record]]) -> list[Record]:
        return await asyncio.get_running_loop().run_in_executor(judges, judge)

    @router.post(
        "/ingest", status_code=202, dependencies=[writer], openapi_extra=_body(schema),
        summary=f"Push one record to bronze.{validator.table}",
    )  # fmt: skip
    async def ingest(request: Request) -> dict[str, Any]:
        """Take one record. It is on the disk before the answer; sent again it counts once."""
        body = await _read(request, settings)
        records = await in_thread(lambda: _judged(validator, [_parsed(body)], batch=False))
        await _written(inbox, settings, records)
        return {"status": "accepted", "id": records[0].id}

    many = {"type": "array", "items": schema, "maxItems": settings.max_batch_records}

    @router.post(
        "/ingest/batch", status_code=202, dependencies=[writer], openapi_extra=_body(many),
        summary=f"Push records to bronze.{validator.table}, all or none",
    )  # fmt: skip
    async def ingest_batch(request: Request) -> dict[str, Any]:
        """Take all records of a list, or none: the answer to a refused one names each fault."""
        body = await _read(request, settings)
        records = await in_thread(lambda: _judged(validator, _several(body, settings), batch=True))
        await _written(inbox, settings, records)
        return {"status": "accepted", "ids": [record.id for record in records]}

    return router


def outcomes_of(runtime: Runtime, table: str) -> Callable[[Sequence[Sealed]], SegmentOutcomes]:
    """Tells which segments bronze has taken in, and which batches a person has rejected."""

    def ask(waiting: Sequence[Sealed]) -> SegmentOutcomes:
        store = Runtime(runtime.config, new_run()).metadata_store()
        ref = runtime.config.domain.ref(f"bronze.{table}")
        has = {file.name for file in ledger.delivered(store, ref)} if waiting else set()
        batches = (batch.partition("-again")[0] for batch in rejected(store, ref.domain))
        return SegmentOutcomes(
            [part.name for part in waiting if part.name in has],
            {b.removeprefix(f"{table}-") for b in batches if b.startswith(f"{table}-")},
        )

    return ask


def refuse_stopped(inbox: Inbox) -> None:
    """Say so where records are not written any more.

    Raises:
        Refusal: 503.
    """
    if not inbox.healthy:
        raise Refusal(503, "records are not written any more", advice="Restart lakehouse api.")


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


async def _read(request: Request, settings: Api) -> bytes:
    """The body, not beyond the limit."""
    _refuse_other_types(request.headers)
    limit = settings.max_body_bytes
    too_large = Refusal(413, f"the body has more than {limit:,} bytes", advice="Send it in parts.")
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


def _refuse_other_types(headers: Headers) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Refusal(
            415, f"the content type is {kind or 'not given'}, not {JSON}",
            advice=f"Send the header Content-Type: {JSON}.",
        )  # fmt: skip
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal(415, "the body is compressed", advice="Send it as it is.")


def _parsed(body: bytes) -> Any:
    try:
        return parse(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        message = f"byte {error.start} of the body is not UTF-8"
        raise Refusal(400, message, advice="Send JSON in UTF-8.") from None
    except ValueError as error:
        message = f"the body is not JSON: {error}"
        raise Refusal(400, message, advice="Send one JSON value, as GET /docs shows it.") from None


def _several(body: bytes, settings: Api) -> list[Any]:
    values = _parsed(body)
    if not isinstance(values, list) or not values:
        raise Refusal(422, "the body is not a list of records", advice="Send [{...}, {...}].")
    if len(values) > settings.max_batch_records:
        reason = f"has {len(values):,} records, more than {settings.max_batch_records:,}"
        raise Refusal(413, f"the batch {reason}", advice="Send it in parts.")
    return values


def _judged(validator: RecordValidator, values: Sequence[Any], *, batch: bool) -> list[Record]:
    records, problems = validator.judge(values, batch=batch)
    if problems:
        first: Problem = problems[0]
        where = f"record {first.row}: " if first.row else ""
        message = f"{where}{first.field}: {first.reason}"
        raise Refusal(422, message, advice="Nothing was taken. Correct it.", problems=problems)
    return records


async def _written(inbox: Inbox, settings: Api, records: Sequence[Record]) -> None:
    """Wait until the records are on the disk."""
    if inbox.waiting_rows + len(records) > settings.max_waiting_records:
        raise Refusal(
            429,
            f"{inbox.waiting_rows:,} records wait to be taken into bronze",
            advice="Run the pipeline, or wait for its schedule.",
            headers={"Retry-After": "60"},
        )
    try:
        await asyncio.wrap_future(inbox.put(records))
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Refusal(
            503, f"the records could not be written: {reason}",
            advice="Nothing was taken. Send it again later.", headers={"Retry-After": "30"},
        ) from None  # fmt: skip
