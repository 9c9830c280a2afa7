"""What a domain opens to the REST API: records that are pushed, and tables under names of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.domain.spec.limits import MUST_GIVE


@dataclass
class PushSpec:
    """A bronze table whose records the API takes; it writes them to files of the landing folder."""

    key: str = MUST_GIVE
    """Column that identifies a record: one that is sent again is accepted and written once."""
    file: str = MUST_GIVE
    """How the names of these files begin; the source's `pattern` has to match them."""


@dataclass
class EndpointSpec:
    """A table that the API shows at `/api/v1/<name>`, with filters of its own."""

    table: str = MUST_GIVE
    """The table, as `layer.table`."""
    equals: list[str] = field(default_factory=list)
    """Columns that a request may ask for a value of."""
    instant: str = ""
    """Column that `since` (inclusive) and `until` (exclusive) ask for."""
