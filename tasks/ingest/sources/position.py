"""How far an incremental extraction has come: what the commit record keeps of its watermark."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tasks.domain.spec import SourceSpec

ORIGIN = "source"
"""Key of the fingerprint of what was read. Records of before have none, and count as of the same."""


def known(source: SourceSpec, position: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The position, where it is one of what the source reads now; else an empty one.

    After another column, table, query or path the whole source is read, and what bronze holds is left out.
    """
    mark = source.watermark
    if mark is None or position is None or position.get("column") != mark.column:
        return {}
    return position if position.get(ORIGIN, _origin(source)) == _origin(source) else {}


def advanced(source: SourceSpec, value: str | None) -> dict[str, Any] | None:
    """The position at a watermark; None where there is none."""
    if source.watermark is None or value is None:
        return None
    return {"column": source.watermark.column, "value": value, ORIGIN: _origin(source)}


def _origin(source: SourceSpec) -> str:
    read = source.rest.path if source.rest else source.table or source.query or ""
    return hashlib.sha256(read.encode()).hexdigest()[:12]
