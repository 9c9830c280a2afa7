"""SIGKILL of a run that reads a database or a bucket: no row is lost or comes twice.

The domains are the first examples of the pages, run as a person would, on real servers.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chaos.test_kills import Condition, kill_when
from tests.e2e.lakehouse import Lakehouse
from tests.secrecy.domain import Place, page_blocks
from tests.services.postgres import Postgres
from tests.services.s3 import S3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
ROWS, SECONDS_A_ROW, OBJECTS = 200, 0.03, 40
MakeLakehouse = Callable[..., Lakehouse]
TABLE = f"""
    create table payments (
        payment_id int primary key, order_id int, amount numeric, updated_at timestamptz
    );
    insert into payments
        select n, n, n, timestamptz '2026-03-01 10:00:00+00' + n * interval '1 s'
        from generate_series(1, {ROWS}) n;
    create view slow_payments as
        select p.* from payments p, lateral (select pg_sleep({SECONDS_A_ROW})) pause"""


def reading(lake: Path) -> bool:
    """In the middle of the extraction: something is in the scratch folder, nothing is staged."""
    read = [
        *lake.glob("_staging/*/shop_bronze/payments/extraction/raw"),
        *lake.glob("_staging/*/shop_bronze/sales/extraction/objects/*/*.csv.gz"),
    ]
    return bool(read) and len(read) < OBJECTS and not staged(lake)


def staged(lake: Path) -> bool:
    """After staging, before the gate is done."""
    return any(lake.glob("_staging/*/shop_bronze/*/*/attempt.json"))


def _domain(root: Path, page: str, **changes: Any) -> list[str]:
    """The page's first example as a domain of its own, with its bronze table changed; its overrides."""
    declared = yaml.safe_load(page_blocks(page, "yaml")[0])
    (table,) = declared["bronze"].values()
    table |= changes
    if "silver" not in declared:
        column = {"payment_id": {"type": "int"}}
        silver = {"source": "bronze.payments", "key": ["payment_id"], "columns": column}
        declared["silver"] = {"payments": silver}
    Place(root, {}).declare(declared)
    return ["domain=shop", f"domains={root / 'domains'}"]


@pytest.mark.parametrize("point", [reading, staged])
def test_a_run_that_is_killed_while_it_reads_a_database_is_completed_by_the_next(
    tmp_path: Path, postgres: Postgres, make_lakehouse: MakeLakehouse, point: Condition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    database = postgres.database(f"killed_{point.__name__}")
    database.run(*TABLE.split(";"))
    monkeypatch.setenv("SHOP_DB_HOST", f"{database.host}:{database.port}")
    monkeypatch.setenv("SHOP_DB_USER", database.user)
    monkeypatch.setenv("SHOP_DB_PASSWORD", database.password)
    options = {
        "user": "${oc.env:SHOP_DB_USER}", "password": "${secret:SHOP_DB_PASSWORD}", "fetchsize": "10"
    }  # fmt: skip
    url = f"jdbc:postgresql://${{oc.env:SHOP_DB_HOST}}/killed_{point.__name__}"
    overrides = _domain(
        tmp_path, "connect-jdbc.md", table="slow_payments", options=options, url=url
    )
    lake = make_lakehouse("delta", *overrides)
    lake.landing.mkdir(parents=True)
    kill_when(lake, point, whole=True)
    database.run(
        "update payments set amount = 0, updated_at = '2026-03-01 11:00+00' where payment_id = 1"
    )

    assert lake.run().status == 0
    rows = lake.table("bronze.payments")
    found = sorted(zip(*(rows[c].to_pylist() for c in ("payment_id", "amount")), strict=True))
    assert found == sorted((str(n), "0" if n == 1 else str(n)) for n in range(1, ROWS + 1))
    assert lake.run().summary["message"].startswith("nothing new")


@pytest.mark.parametrize("point", [reading, staged])
def test_a_run_that_is_killed_while_it_reads_objects_is_completed_by_the_next(
    tmp_path: Path, s3: S3, make_lakehouse: MakeLakehouse, point: Condition,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    bucket = f"killed-{point.__name__}"
    s3.make_bucket(bucket)

    def put(number: int) -> None:
        lines = f"sale_id,customer_id,amount,sold_at\n{number},1,1.50,2026-03-01 10:00:00\n"
        s3.put(bucket, f"in/sales/{number:03d}.csv.gz", gzip.compress(lines.encode()))

    for number in range(OBJECTS):
        put(number)
    overrides = _domain(tmp_path, "connect-files.md")
    lake = make_lakehouse("delta", *overrides, f"paths.landing=s3://{bucket}/in")
    lake.root.mkdir()
    kill_when(lake, point, whole=True)
    put(OBJECTS)

    assert lake.run().status == 0
    for label in ("bronze.sales", "silver.sales"):
        found = sorted(int(value) for value in lake.table(label)["sale_id"].to_pylist())
        assert found == list(range(OBJECTS + 1)), label
    assert lake.run().summary["message"].startswith("nothing new")
