"""Crm from its sources, delivery by delivery, against the independent computation."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg.sql import SQL, Identifier

from tasks.generate.crm.generator import TRUTH, generate
from tests.e2e.lakehouse import Lakehouse, Result
from tests.oracle.crm import KEYS, compute, read
from tests.services.crm import TOPIC, load
from tests.services.hubspot import HubSpot
from tests.services.kafka import Broker
from tests.services.postgres import Postgres

DELIVERIES = 4


@pytest.fixture
def environment(
    postgres: Postgres, kafka: Broker, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The variables of the services, which hold nothing."""
    found = {**postgres.environment, **kafka.environment, **hubspot.environment}
    for name in ("warehouse", "behavior", "destination"):
        postgres.database(name)
    admin = kafka.admin  # its requests end with it
    if TOPIC in admin.list_topics(timeout=30).topics:
        admin.delete_topics([TOPIC])[TOPIC].result(30)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


def deliver(lake: Lakehouse, paths: Iterable[Path], environment: dict[str, str]) -> Result:
    """Put files into their sources, and run."""
    found = list(paths)
    lake.landing.mkdir(parents=True, exist_ok=True)
    for path in found:
        if "fx_rates" in path.name:
            shutil.copy(path, lake.landing)
    load(found, environment)
    result = lake.run()
    assert result.status == 0, result.summary["message"]
    return result


def rows_of_gold(lake: Lakehouse) -> dict[str, list[str]]:
    """Every row of every gold table with all its columns, the time of its last change included."""
    tables = [label for label in lake.versions() if label.startswith("gold.")]
    return {label: sorted(map(str, lake.table(label).to_pylist())) for label in tables}


def assert_pushed(lake: Lakehouse, postgres: Postgres) -> None:
    """The destination has the rows of every gold table, each once."""
    with replace(postgres, name="destination").connect() as connection:
        for label in (label for label in lake.versions() if label.startswith("gold.")):
            name = label.removeprefix("gold.")
            cursor = connection.execute(SQL("select * from {}").format(Identifier(name)))
            columns = [column.name for column in cursor.description or ()]
            there = sorted(map(str, cursor.fetchall()))
            rows = lake.table(label).select(columns).to_pylist()
            here = sorted(str(tuple(map(naive, row.values()))) for row in rows)
            assert there == here, label


def naive(value: Any) -> Any:
    """An instant in UTC without its zone."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("name", ["delta", "iceberg"])
def test_deliveries_a_replay_and_a_rebuild_give_what_the_sources_hold(
    make_lakehouse: Callable[..., Lakehouse],
    environment: dict[str, str],
    postgres: Postgres,
    tmp_path: Path,
    name: str,
) -> None:
    """Refunds up to three days late, a late rate, a day without one; all of it again; and from bronze."""
    generated = tmp_path / "generated"
    generate(generated, rows=150, seed=11, defects=0.02, deliveries=DELIVERIES)
    lake = make_lakehouse(name, "domain=crm")
    for number in range(1, DELIVERIES + 1):
        deliver(lake, generated.glob(f"crm_*_{number:02}.*"), environment)
    expected = compute(read(path for path in generated.iterdir() if path.name != TRUTH))
    lake.assert_equals(expected, KEYS)
    assert {row["status"] for row in lake.table("gold.fct_orders").to_pylist()} == {
        "paid", "partially_refunded", "refunded"
    }  # fmt: skip
    rates = lake.table("silver.fx_rates").to_pylist()
    assert any(row["date"] != row["rate_date"] for row in rates)

    assert_pushed(lake, postgres)

    gold = rows_of_gold(lake)
    deliver(lake, sorted(p for p in generated.iterdir() if p.name != TRUTH), environment)
    assert rows_of_gold(lake) == gold

    keys = lake.table("gold.fct_orders").select(["order_id", "customer_sk"]).sort_by("order_id")
    result = lake.run(command="rebuild")
    assert result.status == 0, result.summary["message"]
    lake.assert_equals(expected, KEYS)
    again = lake.table("gold.fct_orders").select(["order_id", "customer_sk"]).sort_by("order_id")
    assert again == keys
    assert_pushed(lake, postgres)
