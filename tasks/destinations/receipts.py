"""What is known to be pushed, beside the lake: it spares a run with nothing new the connection.

A receipt is no position. It is written after the destination has committed, and a push goes by what the
destination itself says; without the receipt a run asks the destination.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from storage.disk import write_text
from tasks.bench import Bench
from tasks.destinations.difference import position_of
from tasks.destinations.positions import Position
from tasks.spec import Push

ROOT = "_pushed"


def pending(bench: Bench, push: Push) -> bool:
    """Whether a gold table is not known to be in its destination as it is now."""
    here = position_of(bench, push.table)
    return here is not None and _read(bench, push) != asdict(here)


def write(bench: Bench, push: Push, position: Position) -> None:
    """Note what the destination has committed."""
    write_text(_path(bench, push), json.dumps(asdict(position)))


def _read(bench: Bench, push: Push) -> object:
    try:
        return json.loads(_path(bench, push).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _path(bench: Bench, push: Push) -> Path:
    """Of a destination at another address nothing is known."""
    spec = bench.domain.destinations[push.destination]
    where = hashlib.sha256(f"{spec.url} {spec.schema}".encode()).hexdigest()[:12]
    name = f"{push.destination}.{push.table.name}.{where}.json"
    return bench.staging / ROOT / push.table.domain / bench.store.format_of(push.table) / name
