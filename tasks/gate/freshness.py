"""Freshness: how old the newest delivery in a table may be, against the clock of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from checks.model import CheckResult, Outcome, Severity
from storage.base import TableStore
from storage.types import TableRef
from tasks.context import Attempt, Context
from tasks.domain.durations import duration
from tasks.domain.spec import DomainSpec

CHECK = "newest delivery within freshness"


def limit(domain: DomainSpec, ref: TableRef) -> timedelta | None:
    """The declared freshness of a table; None where none is declared."""
    text = domain.spec(ref).freshness
    return duration(text) if text else None


def arrived(
    store: TableStore, domain: DomainSpec, ref: TableRef, until: str | None = None
) -> datetime | None:
    """When the newest delivery that a table holds was taken in, from the commit records.

    A rebuild does not make a table fresher: what counts is the delivery in bronze.

    Args:
        store: The lake.
        domain: The domain.
        ref: The table.
        until: A version of it; None for the newest.
    """
    if not store.exists(ref):
        return None
    reached = until is None
    for entry in store.history(ref):
        reached = reached or entry.version == until
        if not reached or entry.record is None:
            continue
        if entry.record.files:
            return entry.committed_at
        if entry.record.inputs:
            return _newest(store, domain, entry.record.inputs)
    return None


def _newest(store: TableStore, domain: DomainSpec, inputs: Mapping[str, str]) -> datetime | None:
    found = [
        arrived(store, domain, domain.ref(label), version) for label, version in inputs.items()
    ]
    return max((instant for instant in found if instant is not None), default=None)


def overdue(context: Context, tables: Sequence[TableRef]) -> list[str]:
    """The tables whose newest delivery is older than declared, in words."""
    found = []
    for ref in tables:
        allowed = limit(context.domain, ref)
        if allowed is None:
            continue
        newest = arrived(context.store, context.domain, ref)
        if newest is None:
            found.append(f"{ref.label} is overdue: nothing delivered yet")
        elif context.run.started_at - newest > allowed:
            found.append(f"{ref.label} is overdue: {_said(context, ref, newest)}")
    return found


def checks(context: Context, attempt: Attempt) -> list[CheckResult]:
    """A warning where what is staged brings no delivery that is new enough."""
    ref = attempt.table
    allowed = limit(context.domain, ref)
    if allowed is None:
        return []
    newest: datetime | None = context.run.started_at  # a delivery itself is new
    if attempt.inputs:
        newest = _newest(context.store, context.domain, attempt.inputs)
    late = newest is None or context.run.started_at - newest > allowed
    text = "nothing delivered yet" if newest is None else _said(context, ref, newest)
    return [
        CheckResult(
            name=CHECK, dataset="staged", definition=CHECK,
            outcome=Outcome.WARN if late else Outcome.PASS,
            value=None if newest is None else _hours(context.run.started_at - newest),
            threshold=f"<= {context.domain.spec(ref).freshness}", severity=Severity.MEDIUM, message=text,
        )
    ]  # fmt: skip


def _said(context: Context, ref: TableRef, newest: datetime) -> str:
    age, allowed = _hours(context.run.started_at - newest), context.domain.spec(ref).freshness
    return f"the newest delivery is {age:.1f} hours old, allowed are {allowed}"


def _hours(span: timedelta) -> float:
    return span.total_seconds() / 3600
