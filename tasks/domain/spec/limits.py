"""Limits of row counts and of quarantined rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MUST_GIVE = "???"
"""Marks a value that the domain must give."""


class OnAnomaly(StrEnum):
    """What becomes of an attempt whose row counts are out of control."""

    ignore = "ignore"  # not `off`, which YAML reads as false
    warn = "warn"
    fail = "fail"


@dataclass
class VolumeLimits:
    """Row counts against statistical control limits of the table's earlier runs."""

    mode: OnAnomaly = OnAnomaly.warn
    """What a signal does; `ignore` does not look."""
    history: int = 20
    """Newest earlier runs (or days) that the limits are taken from."""
    minimum: int = 8
    """Fewer of them are not judged."""


@dataclass
class VolumeSpec:
    """Rows that must arrive from one layer in the next."""

    input: str = MUST_GIVE
    """SQL that gives one number from the inputs."""
    output: str = MUST_GIVE
    """Aggregate over the table as it will be."""
    tolerance: float = 0.0
    """Relative difference that still passes."""


@dataclass
class QuarantineLimit:
    """The gate blocks when more rows than both bounds are quarantined in a batch."""

    share: float = 0.05
    """Share of the batch, 0 to 1."""
    rows: int = 20
    """Rows of the batch."""
    waiting_share: float = 1.0
    """Own limit for rows that wait for a reference; 1.0 never blocks."""
