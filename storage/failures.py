"""Translation of Spark's and the operating system's failures that mean the same on every format."""

from __future__ import annotations

import re
import traceback

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from storage.connections import LONGEST_CHAIN, Failure, judged
from storage.errors import (
    LakehouseError,
    StorageDeniedError,
    StorageFullError,
    TerminalError,
    TransientError,
)
from storage.masking import hidden
from storage.types import TableRef

NATIVE = (PySparkException, Py4JError, pa.ArrowException, OSError)
"""What Spark, its JVM, Arrow and the operating system raise; Spark leaves many of the JVM's as they are."""

FULL_MARKS = ("No space left on device", "Disk quota exceeded", "SQLITE_FULL",
              "database or disk is full")  # fmt: skip
DENIED_MARKS = ("Permission denied", "Read-only file system", "Operation not permitted",
                "attempt to write a readonly database")  # fmt: skip
TRANSIENT_MARKS = ("SQLITE_BUSY", "database is locked", "Connection reset", "Connection refused",
                   "SocketTimeout", "Broken pipe")  # fmt: skip

TASK_FAILED = "[TASK_WRITE_FAILED]"


def translate(ref: TableRef, error: BaseException) -> LakehouseError:
    """The platform's error for a native one of a table, by what its text and causes say."""
    return explain(ref.label, error)


def explain(place: str, error: BaseException) -> LakehouseError:
    """As `translate`, for whatever is not one table."""
    failure, text = judged(error), native_text(error)
    if failure is not None:
        kind = TransientError if failure is Failure.TRANSIENT else TerminalError
        return kind(f"{place}: {_said(error, whole=True)}")
    if any(mark in text for mark in FULL_MARKS):
        return full(place)
    if any(mark in text for mark in DENIED_MARKS):
        return denied(place)
    said = _said(error)
    if any(mark in text for mark in TRANSIENT_MARKS):
        return TransientError(f"{place}: {said}")
    return TerminalError(f"{place}: {said}")


def without_secrets(error: Exception) -> Exception:
    """The error itself, or where it or one behind it tells a secret, another that says the same without."""
    told = "".join(traceback.format_exception(error))
    if hidden(told) == told:
        return error
    if isinstance(error, LakehouseError):
        return type(error)(error.message, advice=error.advice)
    return TerminalError(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}")


def _said(error: BaseException, *, whole: bool = False) -> str:
    """One line: what the error says, with its root cause if `whole` or where a task failed."""
    heads = [
        re.sub(r"^[\w.$]+(Exception|Error): ", "", cause.strip().splitlines()[0])
        for cause in _causes(error)
        if cause.strip()
    ] or [repr(error)]
    rooted = (whole or TASK_FAILED in heads[0]) and heads[-1] not in heads[0]
    return f"{heads[0]} {heads[-1]}" if rooted else heads[0]


def full(place: str) -> StorageFullError:
    """The error of a write for which the disk has no room."""
    return StorageFullError(
        f"{place}: the disk of the lake is full; nothing of this write is visible",
        advice="Free disk space, then run again: the run goes on where it stopped.",
    )


def denied(place: str) -> StorageDeniedError:
    """The error of a write for which this process has no permission."""
    return StorageDeniedError(
        f"{place}: no permission to write in the lake",
        advice="Give this user write access to the lake, or set paths.lake to another folder.",
    )


def native_text(error: BaseException) -> str:
    """The messages of a native error and of its causes in the JVM, one after the other."""
    return "\n".join(_causes(error))


def _causes(error: BaseException) -> list[str]:
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    parts: list[str] = []
    try:
        while java is not None and len(parts) < LONGEST_CHAIN:
            parts.append(str(java.toString()))
            java = java.getCause()
    except Py4JError:  # the JVM is gone; what was read so far must do
        parts.append(repr(error))
    return parts or [str(error)]
