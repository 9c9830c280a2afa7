"""Changes of columns: what a source delivers against what is declared, and what a table gets.

Each change is in `ops.schema_changes` with the columns before and after, as JSON objects of name and type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from storage.base import other_version
from storage.evolution import widens
from storage.types import Version
from tasks.context import Attempt, Context
from tasks.domain.spec import DriftMode
from tasks.notes import Columns, ColumnsDiffer
from tasks.records.heads import expected
from tasks.table.columns import additions, change_row, report_changes

UNTYPED = "null"
"""Type of a column that has no value in a whole delivery: it says nothing of the column's type."""


@dataclass(frozen=True)
class Drift:
    """How one delivery differs from the columns that were expected.

    Attributes:
        before: The columns expected, with the types of the last delivery where it had types.
        after: The columns delivered; one without a value keeps the type that it had.
        unknown: Columns that nothing expected.
        widened: Columns whose type holds each value of the earlier one, in words.
        breaking: What always blocks, in words.
    """

    batch_id: str
    before: Columns
    after: Columns
    unknown: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    breaking: tuple[str, ...] = ()

    def is_news(self, last: Columns, mode: DriftMode) -> bool:
        """Whether it is a change since the last delivery, or of the table's columns."""
        new = set(self.unknown) - set(last)
        makes = mode is DriftMode.evolve and any(map(can_be_column, self.unknown))
        return bool(self.breaking or self.widened or new or makes)

    @property
    def news(self) -> tuple[str, ...]:
        """What does not break, in words."""
        verb = "are" if len(self.unknown) > 1 else "is"
        names = ", ".join(name or "''" for name in self.unknown)
        added = f"brings {names}, which {verb} not declared"
        return (*([added] if self.unknown else []), *self.widened)

    @property
    def difference(self) -> str:
        """Everything, in words."""
        return "; ".join([*self.breaking, *self.news])


def compared(
    batch_id: str,
    *,
    declared: Sequence[str],
    held: Sequence[str],
    last: Columns,
    delivered: Columns,
    missing: Sequence[str],
    mode: DriftMode,
    plain: Sequence[str] = (),
) -> Drift:
    """Compare a delivery with what is expected of it.

    Args:
        batch_id: The delivery.
        declared: Columns that the domain declares.
        held: Columns that the bronze table got by earlier evolution.
        last: Columns and types of the delivery before; empty where none was recorded.
        delivered: Columns and types of this one.
        missing: Declared columns that it lacks.
        mode: With `evolve`, columns that evolved are expected as long as they come.
        plain: Numbers that have the same text whether a file calls them whole or floating-point.
    """
    expected = [*declared, *(c for c in held if c in last and mode is DriftMode.evolve)]
    before = {c: last.get(c, delivered.get(c, "string")) for c in expected}
    gone = [*missing, *(c for c in expected if c not in declared and c not in delivered)]
    unknown = tuple(c for c in delivered if c not in declared and c not in held)
    after = {
        c: last.get(c, kind)
        if kind == UNTYPED or (c in plain and _only_notation(last.get(c), kind))
        else kind
        for c, kind in delivered.items()
    }
    changed = [
        (c, last[c], kind) for c, kind in after.items() if last.get(c, kind) not in (kind, UNTYPED)
    ]
    return Drift(
        batch_id,
        before,
        after,
        unknown,
        tuple(f"{c} widens from {old} to {new}" for c, old, new in changed if _holds(new, old)),
        (
            *_gone(gone, unknown),
            *(_narrowed(*one) for one in changed if not _holds(one[2], one[1])),
        ),
    )


def _gone(gone: Sequence[str], unknown: Sequence[str]) -> list[str]:
    if not gone:
        return []
    renamed = f" (was it renamed to {' or '.join(unknown)}?)" if unknown else ""
    return [f"lacks {', '.join(gone)}{renamed}"]


def _only_notation(old: str | None, new: str) -> bool:
    """Whether whole numbers became floating-point ones or back, as with pandas where a value is missing."""
    return (old in WHOLE and new in FLOATING) or (old in FLOATING and new in WHOLE)


def _holds(new: str, old: str) -> bool:
    """Whether a source's type holds each value of the earlier one; text holds everything."""
    return new == "string" or (old, new) in WIDER or widens(old, new)


WHOLE = ("tinyint", "smallint", "int", "bigint")
FLOATING = ("float", "double")
WIDER = {
    (small, large)
    for order in (WHOLE, FLOATING)
    for n, small in enumerate(order)
    for large in order[n + 1 :]
}
"""Types of a source's columns, and those that hold each of their values; bronze keeps all as text."""


def _narrowed(column: str, old: str, new: str) -> str:
    how = "narrower" if _holds(old, new) else "another type"
    return f"{column} is {new}, was {old}, which is {how}"


def can_be_column(name: str) -> bool:
    """Whether both formats take the name for a column; other ones stay in `_rescued`."""
    return name.isidentifier() and not name.startswith("_")


def apply(context: Context, attempt: Attempt) -> Version:
    """Record how the deliveries of a bronze attempt differ, and add the columns that it brings.

    A repeat after a kill records nothing twice and adds what is left.

    Returns:
        The version that the rows have to find.

    Raises:
        CommitConflictError: Another writer has committed since the attempt was staged.
    """
    ref, checked = attempt.table, expected(context, attempt, attempt.table)
    record(context, attempt, outcome="applied")
    columns = [(name, "string") for name in attempt.notes.added or ()]
    lacking = additions(context.store.columns(ref), columns)
    if not lacking:
        return checked
    context.store.evolve(ref, lacking)
    newest, *earlier = context.store.history(ref, limit=2)
    if checked not in (newest.version, *(entry.version for entry in earlier)):
        raise other_version(ref, newest.version, checked)
    return newest.version


def record(context: Context, attempt: Attempt, *, outcome: str) -> None:
    """Report the differences of an attempt in `ops.schema_changes`."""
    rows = [
        change_row(context, attempt.table, outcome=outcome, **asdict(found))
        for found in attempt.notes.drift or ()
    ]
    report_changes(context, rows, f"drift:{outcome}:{attempt.token}")


def noted(drift: Drift, mode: str) -> ColumnsDiffer:
    """A difference as a fact of the attempt."""
    return ColumnsDiffer(drift.batch_id, mode, drift.difference, drift.before, drift.after)
