"""How a table of a database is extracted."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.domain.spec.limits import MUST_GIVE


@dataclass
class PartitionsSpec:
    """An extraction through several connections at once, each with a range of one column."""

    column: str = MUST_GIVE
    """Column that parts the rows evenly and does not change: a number, a date or an instant."""
    count: int = 4
    """Connections."""


@dataclass
class KeySnapshotSpec:
    """Deletes found by comparing the keys in the database with those that bronze holds."""

    key: list[str] = field(default_factory=list)
    """Columns that identify a row."""
    every: str = ""
    """At most so often, for example `6 hours`; in every run where empty."""
    share: float = 0.2
    """A snapshot waits for a decision when more rows than this share, and than `rows`, are gone."""
    rows: int = 20
    """Rows that may be gone whatever their share; not all of them."""
