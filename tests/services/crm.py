"""What the generator of the domain `crm` wrote, put into the services that the domain reads from."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import requests
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from psycopg import sql

from tests.services.hubspot_objects import MODIFIED

WAREHOUSE, BEHAVIOR = "CRM_WAREHOUSE", "CRM_BEHAVIOR"
TYPES = {"created_at": "timestamp", "updated_at": "timestamp", "ordered_at": "timestamp",
         "occurred_at": "timestamp", "amount": "numeric(18,2)",
         "refunded_amount": "numeric(18,2)"}  # fmt: skip
"""Columns of the tables that are not text."""
TABLES = {"customers": WAREHOUSE, "orders": WAREHOUSE, "behavior": BEHAVIOR}
"""The database of each table; the first column is its key."""
TOPIC = "crm.events"
BATCH = 100
"""The most objects that HubSpot takes at once."""
ANSWER_SECONDS = 30.0


def load(files: Iterable[Path], environment: Mapping[str, str]) -> None:
    """Put generated files into the services, in the order of their names; what is there is replaced by key.

    Args:
        files: Files of the generator. Exchange rates are files for the domain too, and stay where they are.
        environment: The variables by which the domain finds the services.
    """
    for file in sorted(files, key=lambda path: path.name):
        table = file.stem.removeprefix("crm_").rsplit("_", 1)[0]
        if table in TABLES:
            with connected(TABLES[table], environment) as connection:
                _upsert(connection, table, file)
        elif table in MODIFIED:
            _put(table, _objects(file), environment)
        elif table == "events":
            _produce(_objects(file), environment)


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
    kinds = [sql.SQL(TYPES.get(name, "text")) for name in header]
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


def _objects(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _put(kind: str, objects: list[dict[str, Any]], environment: Mapping[str, str]) -> None:
    """Upsert objects of HubSpot, each first as it was created, since its first state dates it."""
    url = f"{environment['HUBSPOT_URL']}/crm/v3/objects/{kind}/batch/upsert"
    inputs = []
    for properties in objects:
        number, created = properties.pop("id"), properties.pop("createdate")
        inputs.append({"id": number, "properties": {**properties, MODIFIED[kind]: created}})
        inputs.append({"id": number, "properties": properties})
    for start in range(0, len(inputs), BATCH):
        answer = requests.post(
            url,
            json={"inputs": inputs[start : start + BATCH]},
            headers={"Authorization": f"Bearer {environment['HUBSPOT_TOKEN']}"},
            timeout=ANSWER_SECONDS,
        )
        answer.raise_for_status()


def _produce(events: list[dict[str, Any]], environment: Mapping[str, str]) -> None:
    servers: dict[str, str | int | float | bool] = {
        "bootstrap.servers": environment["CRM_KAFKA_SERVERS"]
    }
    admin = AdminClient(servers)
    if TOPIC not in admin.list_topics(timeout=ANSWER_SECONDS).topics:
        admin.create_topics([NewTopic(TOPIC, 2, 1)])[TOPIC].result(ANSWER_SECONDS)
    producer = Producer(servers)
    for event in events:
        producer.produce(TOPIC, json.dumps(event), key=event["customer_id"])
    if left := producer.flush(ANSWER_SECONDS):
        raise RuntimeError(f"{left} events were not taken")
