"""A PostgreSQL database with one table, and sources that read from it."""

from __future__ import annotations

from typing import Any

from storage.secrets import reference
from tasks.domain.spec import SourceKind, SourceSpec, WatermarkSpec
from tests.services.postgres import Postgres

COLUMNS = ["id", "amount", "changed_at"]
TABLE = "create table sale (id bigint primary key, amount numeric(18,4), changed_at timestamptz)"


def source(database: Postgres, **changes: Any) -> SourceSpec:
    options = {"user": database.user, "password": reference("SHOP_PASSWORD")}
    values: dict[str, Any] = {
        "columns": COLUMNS, "kind": SourceKind.jdbc, "url": database.jdbc, "table": "sale",
        "options": options, "watermark": WatermarkSpec("changed_at", "10 minutes"),
    }  # fmt: skip
    return SourceSpec(**values | changes)


def put(database: Postgres, *rows: tuple[int, object, str]) -> None:
    listed = ", ".join(f"({i}, {amount}, '2026-03-01 {clock}+00')" for i, amount, clock in rows)
    database.run(
        f"insert into sale values {listed} on conflict (id) do update "
        "set amount = excluded.amount, changed_at = excluded.changed_at"
    )


def asked(database: Postgres, mark: str, wanted: str) -> list[str]:
    """Statements in the server's log after a mark that hold a text; the mark is a statement itself."""
    _, _, after = database.log.read_text().rpartition(f"select '{mark}'")
    return [line for line in after.splitlines() if "execute" in line and wanted in line]
