"""Sources that read the table of a SQLite database."""

from __future__ import annotations

from typing import Any

from tasks.domain.spec import SourceKind, SourceSpec, WatermarkSpec
from tests.sources.shop import Database

COLUMNS = ["id", "amount", "at"]


def source(database: Database, overlap: str = "10 minutes", **more: Any) -> SourceSpec:
    return SourceSpec(
        columns=COLUMNS, kind=SourceKind.jdbc, url=database.url, table="sale",
        watermark=WatermarkSpec("at", overlap, **more),
    )  # fmt: skip


def snapshots(database: Database) -> SourceSpec:
    return SourceSpec(columns=COLUMNS, kind=SourceKind.jdbc, url=database.url, table="sale")


def at(clock: str) -> str:
    return f"2026-03-01 {clock}"
