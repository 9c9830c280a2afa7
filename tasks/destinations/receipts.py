"""What is known to be pushed, in files beside the lake: a run with nothing new needs no connection.

A receipt is not a position. It is written after the destination has committed, and a push goes by what the
destination itself says; without the receipt a run asks the destination.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from storage.disk import write_text
from tasks.context import Context
from tasks.destinations.difference import position_of
from tasks.destinations.positions import Position
from tasks.domain.spec import Push

ROOT = "_pushed"


def pending(context: Context, push: Push) -> bool:
    """Whether a gold table is not known to be in its destination as it is now."""
    here = position_of(context, push.table)
    return here is not None and _read(context, push) != asdict(here)


def write(context: Context, push: Push, position: Position) -> None:
    """Note what the destination has committed."""
    write_text(_path(context, push), json.dumps(asdict(position)))


def _read(context: Context, push: Push) -> object:
    try:
        return json.loads(_path(context, push).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _path(context: Context, push: Push) -> Path:
    """Of a destination at another address nothing is known."""
    spec = context.domain.destinations[push.destination]
    where = hashlib.sha256(f"{spec.url} {spec.schema}".encode()).hexdigest()[:12]
    name = f"{push.destination}.{push.table.name}.{where}.json"
    return context.staging / ROOT / push.table.domain / context.store.format_of(push.table) / name
