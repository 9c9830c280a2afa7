"""The value from which on an API is asked, and where it stands in a request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from tasks.domain.spec import WatermarkType
from tasks.ingest.sources.watermark import WIDE, Overlap


@dataclass(frozen=True, order=True)
class Value:
    """A watermark that can be compared with others of its source.

    Attributes:
        position: The number, or the instant as microseconds since 1970, UTC.
    """

    position: Decimal
    kind: WatermarkType = field(compare=False)


SPARK_TYPES = {WatermarkType.instant: "timestamp", WatermarkType.number: "decimal(38,9)"}
"""As what Spark compares the text of watermarks."""
DIGITS = 29
"""Before the point; a number that has more does not count, since Spark could not compare it."""
UNITS = {"s": 1_000_000, "ms": 1_000}
"""Microseconds in the units of `{since:s}` and `{since:ms}`."""
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
"""The first instant there is, in microseconds."""
_SINCE = re.compile(r"\{since(?::([^{}]+))?\}")


def parsed(text: str | None, kind: WatermarkType) -> Value | None:
    """The value of a watermark's text; None where it is none."""
    try:
        if kind is WatermarkType.number:
            number = Decimal(text or "")
            held = number.is_finite() and number.adjusted() < DIGITS
            return Value(number, kind) if held else None
        instant = datetime.fromisoformat(text or "")
        known = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return Value(Decimal((known - _EPOCH) // _MICROSECOND), kind)
    except (ValueError, InvalidOperation, OverflowError):
        return None


def below(value: Value, overlap: Overlap) -> Value:
    """The value less what is read again.

    Raises:
        ValueError: The overlap cannot be taken from such a value.
    """
    if overlap.number == 0:
        return value
    is_number = value.kind is WatermarkType.number
    if is_number and overlap.number is not None:
        return replace(value, position=WIDE.subtract(value.position, overlap.number))
    if not is_number and overlap.duration is not None:
        earlier = value.position - overlap.duration // _MICROSECOND
        return replace(value, position=max(earlier, Decimal(_FIRST)))
    raise ValueError(f"the overlap does not fit values of type {value.kind}")


def written(value: Value, form: str = "") -> str:
    """The value as a request has it; never above the exact one.

    Args:
        value: What to write.
        form: `s`, `ms` or a format of `strftime` for an instant; empty for ISO 8601 or the number itself.
    """
    if value.kind is WatermarkType.number:
        return format(value.position, "f")
    microseconds = int(value.position)
    if form in UNITS:
        return str(microseconds // UNITS[form])
    instant = _EPOCH + microseconds * _MICROSECOND
    if form:
        return instant.strftime(
            form.replace("%Y", f"{instant.year:04}")
        )  # %Y alone leaves out zeros
    return instant.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def compared(value: Value) -> str:
    """The value as text that Spark reads as exactly this one."""
    return written(value, "%Y-%m-%dT%H:%M:%S.%fZ")


def filled(template: Any, since: Value | None) -> Any:
    """The parameters or the body of a request, with each `{since}` in their texts replaced."""
    if isinstance(template, dict):
        return {key: filled(value, since) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, since) for value in template]
    if isinstance(template, str) and since is not None:
        return _SINCE.sub(lambda matched: written(since, matched[1] or ""), template)
    return template


def forms(template: Any) -> list[str]:
    """The form of each `{since}` in a template."""
    if isinstance(template, dict):
        return [form for value in template.values() for form in forms(value)]
    if isinstance(template, list):
        return [form for value in template for form in forms(value)]
    return _SINCE.findall(template) if isinstance(template, str) else []
