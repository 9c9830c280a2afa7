"""Which event of a key counts: the order of events, and the merge plan that follows it; pure.

The order never asks when an event arrived, unless a table has no `sequence_by`: then the order of delivery
is the sequence. So any batching, permutation or replay of the events gives the same rows.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from storage.plans import MergePlan, refresh_plan, removing, upsert_plan
from storage.sql import quote
from tasks.domain.schemas import DELETED, EVENT_ID, merge_key, silver_metadata
from tasks.domain.spec import Deletes, SilverSpec


def content(spec: SilverSpec) -> list[str]:
    """Columns that an event carries, beside its key and its sequence."""
    own = [n for n, c in spec.columns.items() if c.lookup is None]
    return [n for n in own if n not in spec.key and n not in spec.sequence_by]


def sequence(spec: SilverSpec) -> list[str]:
    """Columns that order the events of a key before ties are broken."""
    by_delivery = spec.first_wins or spec.ordered_by_delivery
    return ["_sequence"] if by_delivery else list(spec.sequence_by)


def event_order(spec: SilverSpec) -> list[str]:
    """The whole order of the events of a key: sequence, then delete after change, then greater values."""
    if sequence(spec) == ["_sequence"]:
        return ["_sequence"]
    return [*sequence(spec), DELETED, *content(spec)]


def sort_key(order: list[str]) -> Column:
    """The place of an event in the order; the greatest is the last."""
    return F.struct(*[F.col(quote(c)) for c in order])


def winning(spec: SilverSpec, order: list[str]) -> list[Column]:
    """The sort order in which the event of a key that counts comes first."""
    if spec.first_wins:
        return [F.col("_sequence").asc()]
    return [sort_key(order).desc(), F.col("_sequence").desc()]


def window_start(spec: SilverSpec) -> Column:
    """First day of the window that an event falls in."""
    assert spec.window is not None  # noqa: S101 - the caller has looked
    day = F.unix_date(F.to_date(F.col(quote(spec.window.column))))
    start = F.date_from_unix_date(day - F.pmod(day, F.lit(spec.window.days)))
    return F.greatest(start, F.lit("0001-01-01").cast("date"))  # the first that every reader holds


def event_id(spec: SilverSpec) -> Column:
    """SHA-256 over the typed values of an event as a JSON object."""
    own = [n for n, c in spec.columns.items() if c.lookup is None]
    values = F.struct(*[F.col(quote(c)) for c in own])
    return F.sha2(F.to_json(values, {"ignoreNullFields": "false"}), 256)


def plan(spec: SilverSpec) -> MergePlan:
    """How staged rows are merged."""
    columns = [*spec.columns, *(name for name, _ in silver_metadata(spec))]
    if spec.keeps_events:
        return upsert_plan([EVENT_ID], columns, [])
    marked = spec.marks_deleted
    order = [c for c in event_order(spec) if c != DELETED or marked]
    looked_up = [n for n, c in spec.columns.items() if c.lookup is not None]
    made = (
        refresh_plan(merge_key(spec), columns, order, looked_up, first=spec.first_wins)
        if looked_up
        else upsert_plan(merge_key(spec), columns, order, first=spec.first_wins)
    )
    deletes = spec.delete_when is not None or spec.delete_missing
    hard = deletes and spec.deletes is Deletes.hard
    return removing(made, DELETED, sequence(spec)) if hard else made
