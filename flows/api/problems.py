"""Answers to requests that are not served: one shape for all of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from storage.errors import LakehouseError, TransientError

SHOWN_CHARACTERS = 100
SHOWN_PROBLEMS = 100
MESSAGE_CHARACTERS = 1_000
_FOLDERS = re.compile(r"(?:\w+:/)?/(?:[^\s/'\",;]+/)+")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """What is wrong with one value.

    Attributes:
        field: Name of the field, parameter or header.
        reason: Why it is not taken, in words.
        value: The value, shortened; None where there is none.
        row: Number of the record in a batch, from 1.
    """

    field: str
    reason: str
    value: str | None = None
    row: int | None = None

    @classmethod
    def of(cls, name: str, reason: str, value: object = None, row: int | None = None) -> Problem:
        """A problem with its value as short text."""
        shown = None if value is None else _cut(str(value), SHOWN_CHARACTERS)
        return cls(_cut(name, SHOWN_CHARACTERS), _cut(reason, MESSAGE_CHARACTERS), shown, row)


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure
    """A request that is answered with this status.

    Attributes:
        status: HTTP status.
        message: What is wrong.
        advice: What to do.
        problems: Values that are at fault.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        advice: str = "",
        problems: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message = status, _cut(message, MESSAGE_CHARACTERS)
        self.advice = _cut(advice, MESSAGE_CHARACTERS)
        self.problems, self.headers = tuple(problems), dict(headers or {})

    def answer(self) -> JSONResponse:
        """The answer with its body."""
        shown = [
            {name: value for name, value in asdict(p).items() if value is not None}
            for p in self.problems[:SHOWN_PROBLEMS]
        ]
        body = {"error": self.message, "advice": self.advice, "problems": shown}
        return JSONResponse(body, self.status, self.headers)


async def refused(_: Request, error: Exception) -> JSONResponse:
    """The answer of a `Refusal`."""
    assert isinstance(error, Refusal)  # noqa: S101 - registered for this class
    return error.answer()


async def http_error(request: Request, error: Exception) -> JSONResponse:
    """The answer where no route or method fits."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    where = f"{request.method} {request.url.path}"
    said = {404: f"there is no {where}", 405: f"{where} is not a call of this API"}
    advice = "GET /docs lists the calls."
    message = said.get(error.status_code, str(error.detail))
    return Refusal(error.status_code, message, advice=advice, headers=error.headers).answer()


async def invalid_parameters(_: Request, error: Exception) -> JSONResponse:
    """The answer to parameters that are not of their type."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    problems = [
        Problem.of(str(e["loc"][-1]), str(e["msg"]), e.get("input")) for e in error.errors()
    ]
    advice = "Correct what `problems` names; GET /docs describes the parameters."
    return Refusal(422, "a parameter is not valid", advice=advice, problems=problems).answer()


async def platform_error(_: Request, error: Exception) -> JSONResponse:
    """The answer to what the lake, its tables or its configuration refuse; without folders of the server."""
    assert isinstance(error, LakehouseError)  # noqa: S101 - registered for this class
    passes = isinstance(error, TransientError)
    _LOG.warning("%s: %s", type(error).__name__, error)
    return Refusal(
        503 if passes else 500,
        _FOLDERS.sub("", error.message),
        advice=_FOLDERS.sub("", error.advice) or "Tell whoever runs lakehouse api.",
        headers={"Retry-After": "5"} if passes else None,
    ).answer()


async def unexpected(_: Request, __: Exception) -> JSONResponse:
    """The answer to a fault of the server, which goes on to its log."""
    advice = "Tell whoever runs lakehouse api: its log says why."
    return Refusal(500, "the request could not be served", advice=advice).answer()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
