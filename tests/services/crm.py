"""What the generator of the domain `crm` wrote, put into the services that the domain reads from."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import psycopg
from psycopg import sql

WAREHOUSE, BEHAVIOR = "CRM_WAREHOUSE", "CRM_BEHAVIOR"
TYPES = {"created_at": "timestamp", "updated_at": "timestamp", "ordered_at": "timestamp",
         "occurred_at": "timestamp", "amount": "numeric(18,2)",
         "refunded_amount": "numeric(18,2)"}  # fmt: skip
"""Columns of the tables that are no text."""
TABLES = {"customers": WAREHOUSE, "orders": WAREHOUSE, "behavior": BEHAVIOR}
"""The database of each table; the first column is its key."""


def load(files: Iterable[Path], environment: Mapping[str, str]) -> None:
    """Put generated files into the services, in the order of their names; what is there is replaced by key.

    Args:
        files: Files of the generator; those of other sources are left where they are.
        environment: The variables by which the domain finds the services.
    """
    for file in sorted(files, key=lambda path: path.name):
        table = file.stem.removeprefix("crm_").rsplit("_", 1)[0]
        if table in TABLES:
            with connected(TABLES[table], environment) as connection:
                _upsert(connection, table, file)


def connected(name: str, environment: Mapping[str, str]) -> psycopg.Connection:
    """A connection to the warehouse or to the one of the behaviour; it commits each statement."""
    return psycopg.connect(
        environment[f"{name}_URL"].removeprefix("jdbc:"),
        user=environment[f"{name}_USER"],
        password=environment[f"{name}_PASSWORD"],
        autocommit=True,
    )


def _upsert(connection: psycopg.Connection, table: str, file: Path) -> None:
    with file.open(encoding="utf-8", newline="") as stream:
        records = list(csv.DictReader(stream))
        header = list(records[0]) if records else []
    if not header:
        return
    columns = [sql.Identifier(name) for name in header]
    kinds = [sql.SQL(TYPES.get(name, "text")) for name in header]  # type: ignore[arg-type]
    declared = sql.SQL(", ").join(map(sql.SQL(" ").join, zip(columns, kinds, strict=True)))
    names = {
        "table": sql.Identifier(table),
        "key": columns[0],
        "declared": declared,
        "columns": sql.SQL(", ").join(columns),
        "values": sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        "changes": sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(c) for c in columns),
    }
    connection.execute(
        sql.SQL("create table if not exists {table} ({declared}, primary key ({key}))").format(
            **names
        )
    )
    statement = sql.SQL(
        "insert into {table} ({columns}) values ({values}) on conflict ({key}) do update set {changes}"
    ).format(**names)
    with connection.cursor() as cursor:
        cursor.executemany(statement, [[v or None for v in r.values()] for r in records])
