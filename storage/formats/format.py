"""What a table format says of itself: everything that anyone else asks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from storage.adapter import FormatStore
    from storage.locks import Locks
    from storage.postgres import PostgresAddress

EVERY_LAYER = ("bronze", "silver", "gold", "ops")


@dataclass(frozen=True)
class Place:
    """Where the tables of a format are in a lake.

    Attributes:
        root: The format's folder.
        properties: Table properties set at creation.
        busy_timeout_ms: How long a catalog on this machine waits for another writer.
        catalog: The PostgreSQL of a lake which several machines share; None for a lake of one machine.
    """

    root: Path
    properties: Mapping[str, str] = field(default_factory=dict)
    busy_timeout_ms: int = 30_000
    catalog: PostgresAddress | None = None


@dataclass(frozen=True)
class SessionExtension:
    """What a format adds to the Spark session.

    Attributes:
        name: Class of its SQL extension.
        traces: What its classes leave in the names of the session's parser and rules, in lower case.
        settings: Settings of the session.
    """

    name: str
    traces: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)


def _takes_any_name(name: str, properties: Mapping[str, str]) -> str:
    del name, properties
    return ""


@dataclass(frozen=True)
class Format:
    """One table format.

    Attributes:
        name: As the configuration writes it; also the name of its folder in a lake.
        load: Makes its adapter; imports what that needs when it is called.
        layers: Layers that it may serve, `ops` among them.
        lacks: Why it serves no other layers, in words.
        extension: What it adds to the Spark session.
        refuses_name: Why it takes no column of a name, given its table properties; empty where it does.
    """

    name: str
    load: Callable[[Place, SparkSession | None, Locks], FormatStore]
    layers: tuple[str, ...] = EVERY_LAYER
    lacks: str = ""
    extension: SessionExtension | None = None
    refuses_name: Callable[[str, Mapping[str, str]], str] = _takes_any_name
