"""Whole runs of a domain whose file has the block of `docs/how-to/second-destination.md`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import make_lakehouse, prefect_home
from tests.e2e.lakehouse import Lakehouse
from tests.services.postgres import Postgres

__all__ = ["make_lakehouse", "prefect_home"]

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "second-destination.md"
URL, PASSWORD = "SHOP_DESTINATION_URL", "SHOP_DESTINATION_PASSWORD"
PUSH = "destination.warehouse.sales"
DOMAIN = """
name: shop
roots: {sql: ../sql, checks: ../checks}
as_of: select max(day) from silver.sales
bronze:
  sales: {pattern: "sales*.csv", columns: [id, amount, day]}
silver:
  sales:
    source: bronze.sales
    key: [id]
    columns: {id: {type: bigint}, amount: {type: "decimal(18,2)"}, day: {type: date}}
gold:
  sales:
    key: [id]
    inputs: [silver.sales]
    sql: sales.sql
    columns: {id: {type: bigint}, amount: {type: "decimal(18,2)"}, day: {type: date}}
    groups: {silver.sales: id}
"""
CHECKS = "checks for result:\n  - min(amount) >= 0:\n      name: amounts are not negative\n"


@pytest.fixture
def server(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    made = postgres.database("shop_runs")
    made.run("create schema analytics")
    monkeypatch.setenv(URL, made.url)
    monkeypatch.setenv(PASSWORD, made.password)
    return made


@pytest.fixture
def lake(tmp_path: Path, make_lakehouse: Callable[..., Lakehouse]) -> Lakehouse:
    [block] = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    home = tmp_path / "domains"
    for file, text in {
        "domain/shop.yaml": DOMAIN + block,
        "sql/sales.sql": "select id, amount, day from silver.sales",
        "checks/bronze/sales.yml": CHECKS.replace("result", "staged").replace(
            "min(amount) >= 0", "row_count > 0"
        ),
        "checks/silver/sales.yml": CHECKS.replace("min(amount) >= 0", "row_count > 0"),
        "checks/gold/sales.yml": CHECKS,
    }.items():
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text(text)
    return make_lakehouse("delta", "domain=shop", f"domains={home}", "retry.attempts=0")


def deliver(lake: Lakehouse, name: str, *records: str) -> None:
    lake.landing.mkdir(parents=True, exist_ok=True)
    (lake.landing / f"sales_{name}.csv").write_text("\n".join(["id,amount,day", *records, ""]))


def rows(server: Postgres) -> list[tuple[Any, ...]]:
    with server.connect() as connection:
        found = connection.execute("select id, amount::text from analytics.sales order by id")
        return found.fetchall()


def staged(lake: Lakehouse) -> list[Path]:
    """What pushes have left in the staging folder."""
    return list(lake.root.glob("**/_push/shop/*"))


def connections(server: Postgres) -> int:
    return server.log.read_text().count("connection authorized")


def test_a_run_pushes_what_it_published(
    lake: Lakehouse, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unset, pushed, nothing new, a wrong password, the right one, a blocked gate."""
    with monkeypatch.context() as unset:
        unset.delenv(URL)
        unset.delenv(PASSWORD)
        deliver(lake, "1", "1,10.00,2026-03-01", "2,20.00,2026-03-01")
        without = lake.run()
        assert (without.status, PUSH in without.statuses()) == (0, False)
        status, _, err = lake.command("push")
        assert (status, "no destination has a url" in err) == (2, True)

    pushed = lake.run()
    assert pushed.status == 0
    assert pushed.statuses() == {
        "bronze.sales": "unchanged", "silver.sales": "unchanged", "gold.sales": "unchanged",
        PUSH: "pushed",
    }  # fmt: skip
    assert "1 table pushed, 2 rows" in pushed.summary["message"]
    assert rows(server) == [(1, "10.00"), (2, "20.00")]

    asked = connections(server)
    assert staged(lake) == []
    assert lake.run().statuses()[PUSH] == "unchanged"
    assert connections(server) == asked
    assert lake.run(command="push").statuses() == {PUSH: "unchanged"}
    assert connections(server) > asked

    deliver(lake, "2", "2,21.00,2026-03-01", "3,30.00,2026-03-02")
    with monkeypatch.context() as wrong:
        wrong.setenv(PASSWORD, "a-wrong-passphrase")
        failed = lake.run()
    assert (failed.status, failed.statuses()["gold.sales"]) == (1, "published")
    assert failed.statuses()[PUSH] == "failed"
    assert "password authentication failed" in failed.table(PUSH)["message"]
    assert rows(server) == [(1, "10.00"), (2, "20.00")]
    for file in (file for file in lake.root.rglob("*") if file.is_file()):
        content = file.read_bytes()
        assert b"a-wrong-passphrase" not in content, file
        assert server.password.encode() not in content, file

    later = lake.run()
    assert (later.status, later.statuses()[PUSH]) == (0, "pushed")
    assert later.table(PUSH)["rows"] == {"computed": 2, "published": 2, "removed": 0}
    assert rows(server) == [(1, "10.00"), (2, "21.00"), (3, "30.00")]

    deliver(lake, "3", "4,-1.00,2026-03-03")
    blocked = lake.run()
    assert (blocked.status, blocked.statuses()[PUSH]) == (3, "skipped")
    assert len(rows(server)) == 3


@pytest.mark.slow
def test_a_run_killed_while_it_merges_leaves_nothing_and_is_finished_by_the_next(
    lake: Lakehouse, server: Postgres
) -> None:
    deliver(lake, "1", "1,10.00,2026-03-01")
    lake.run()
    deliver(lake, "2", "1,11.00,2026-03-01", "2,20.00,2026-03-01")

    with server.connect() as holder:
        holder.execute("begin")
        holder.execute("lock table analytics.sales in access exclusive mode")
        process = subprocess.Popen(
            [sys.executable, "-c", "from flows.cli import main; main()", "run", *lake.overrides],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        _wait(lambda: _waiting(server))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        holder.execute("rollback")

    _wait(lambda: not _waiting(server))
    assert rows(server) == [(1, "10.00")]
    assert len(staged(lake)) == 1
    again = lake.run()
    assert (again.status, again.statuses()[PUSH]) == (0, "pushed")
    assert rows(server) == [(1, "11.00"), (2, "20.00")]
    assert staged(lake) == []


def _waiting(server: Postgres) -> bool:
    with server.connect() as connection:
        found = connection.execute(
            "select 1 from pg_stat_activity where application_name = 'lakehouse' "
            "and wait_event_type = 'Lock'"
        )
        return found.fetchone() is not None


def _wait(until: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.2)
