"""What a run would do, found from metadata alone: no Spark, no scan."""

from __future__ import annotations

from collections.abc import Sequence

from storage.types import TableRef
from tasks.context import Context
from tasks.domain.spec import DESTINATION, EVENTS, DomainSpec, Push


def selected(domain: DomainSpec, layers: Sequence[str], tables: Sequence[str]) -> list[TableRef]:
    """The tables of a run, each after those it reads."""
    return [
        ref
        for ref in domain.tables()
        if (not layers or ref.layer in layers)
        and (not tables or ref.label.removesuffix(EVENTS) in tables or ref.label in tables)
    ]


def selected_pushes(domain: DomainSpec, layers: Sequence[str], tables: Sequence[str]) -> list[Push]:
    """The pushes of a run: those of the chosen gold tables, where the layer `destination` is chosen."""
    return [
        push
        for push in domain.pushes()
        if (not layers or DESTINATION in layers) and (not tables or push.table.label in tables)
    ]


def is_behind(context: Context, push: Push, layers: Sequence[str]) -> bool:
    """Whether a push has to look at its destination.

    It does not where the gold table has not changed since its push, unless the layer is selected by name.
    """
    if context.run.rebuild or DESTINATION in layers:
        return True
    from tasks.destinations import receipts  # noqa: PLC0415 - few domains have a destination

    return receipts.pending(context, push)
