"""How far an incremental extraction has come: what the commit record keeps of its watermark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.spec import SourceSpec


def known(source: SourceSpec, position: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The position, where it is one of the column that the source has now; else an empty one.

    Then the whole source is read, and what bronze holds is left out.
    """
    mark = source.watermark
    if mark is None or position is None or position.get("column") != mark.column:
        return {}
    return position


def advanced(source: SourceSpec, value: str | None) -> dict[str, Any] | None:
    """The position at a watermark; None where there is none."""
    if source.watermark is None or value is None:
        return None
    return {"column": source.watermark.column, "value": value}
