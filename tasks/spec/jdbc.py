"""How a table of a database is extracted."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.spec.limits import MUST_GIVE


@dataclass
class PartitionsSpec:
    """An extraction through several connections at once, each with a range of one column."""

    column: str = MUST_GIVE
    """Column that parts the rows evenly and does not change: a number, a date or an instant."""
    count: int = 4
    """Connections."""
