"""Instants of the years 1 to 9999 through a whole run and out of every door; others are quarantined."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from conf.load import load_config
from flows.api.app import make_app
from tests.api.server import READ, WRITE, served
from tests.e2e.lakehouse import Lakehouse
from tests.services.postgres import Postgres

DOMAIN = """
name: far
roots: {sql: ../sql, checks: ../checks}
as_of: select max(at) from silver.moments
bronze:
  moments: {pattern: "moments*.csv", columns: [id, at, day]}
silver:
  moments:
    source: bronze.moments
    key: [id]
    columns:
      id: {}
      at: {type: timestamp}
      day: {type: date}
      next_day: {type: date, expr: "date_add(day, 1)"}
gold:
  moments:
    key: [at, day]
    inputs: [silver.moments]
    sql: moments.sql
    columns: {at: {type: timestamp}, day: {type: date}, id: {type: string}}
    groups: {silver.moments: "at, day"}
destinations:
  warehouse:
    url: ${oc.env:FAR_URL}
    password: ${secret:FAR_PASSWORD}
    tables: [gold.moments]
"""
SQL = "select at, day, id from silver.moments"
ANY = "checks for staged:\n  - row_count >= 0:\n      name: any rows\n"
FRESH = """
checks for result:
  - freshness(at, as_of):
      name: newest is not older than an hour against as_of
      fail: when > 1h
"""
HELD = {
    "first": (datetime(1, 1, 1, tzinfo=UTC), date(1, 1, 1)),
    "julian": (datetime(1500, 2, 28, 12, tzinfo=UTC), date(1500, 2, 28)),
    "gap": (datetime(2026, 3, 29, 2, 30, 0, 500_000, tzinfo=UTC), date(2026, 3, 29)),
    "last": (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), date(9999, 12, 30)),
}
BEYOND = [
    ("zero", "0000-01-01 00:00:00", "2026-01-01"),
    ("day_zero", "2026-01-01 00:00:00", "0000-12-31"),
    ("later", "10000-01-01 00:00:00", "2026-01-01"),
    ("sum", "2026-01-02 00:00:00", "9999-12-31"),
]
REASONS = {
    "zero": "at: '0000-01-01 00:00:00' is not a timestamp",
    "day_zero": "day: '0000-12-31' is not a date",
    "later": "at: '10000-01-01 00:00:00' is not a timestamp",
    "sum": "next_day: '+10000-01-01' is beyond the years 1 to 9999",
}


@pytest.fixture
def lake(
    tmp_path: Path,
    make_lakehouse: Callable[..., Lakehouse],
    monkeypatch: pytest.MonkeyPatch,
    postgres: Postgres,
    request: pytest.FixtureRequest,
) -> Lakehouse:
    """The domain with a destination, on one format."""
    for name, text in {
        "domain/far.yaml": DOMAIN, "sql/moments.sql": SQL, "checks/bronze/moments.yml": ANY,
        "checks/silver/moments.yml": FRESH, "checks/gold/moments.yml": ANY,
    }.items():  # fmt: skip
        file = tmp_path / "domains" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    made = postgres.database("far")
    monkeypatch.setenv("FAR_URL", made.url)
    monkeypatch.setenv("FAR_PASSWORD", made.password)
    own = (f"domains={tmp_path / 'domains'}", "domain=far")
    return make_lakehouse(request.param, *own)


@pytest.mark.spark
@pytest.mark.parametrize(
    "lake", ["delta", pytest.param("iceberg", marks=pytest.mark.slow)], indirect=True
)
def test_far_instants_come_out_of_every_door_as_they_went_in(
    lake: Lakehouse, postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = ("id", "at", "day")
    given = [
        (n, f"{at.replace(tzinfo=None)}".removesuffix("00000"), str(day))
        for n, (at, day) in HELD.items()
    ]
    lake.deliver("moments_1.csv", header, *given[1:3], *BEYOND)
    assert lake.run().status == 0
    lake.deliver("moments_2.csv", header, given[0], given[3])
    assert lake.run().status == 0  # freshness is measured against the newest that silver has

    rows = lake.table("silver.moments__quarantine").to_pylist()
    assert {r["id"]: r["_reason"].partition(" (record")[0] for r in rows} == REASONS
    expected = [{"at": at, "day": day, "id": n} for n, (at, day) in HELD.items()]
    table = lake.table("gold.moments").select(["at", "day", "id"])
    assert table.sort_by("at").to_pylist() == expected

    status, out, err = lake.command("sql", "--json", 'select * from silver.moments order by "at"')
    assert status == 0, err
    instants = [at.isoformat().replace("+00:00", "Z") for at, _ in HELD.values()]
    assert [row["at"] for row in json.loads(out)] == instants
    for command in (("show", "gold.moments"), ("sql", "select * from gold.moments")):
        status, out, err = lake.command(*command)
        assert status == 0, err
        assert all(f"{at:%m-%d %H:%M:%S}" in out for at, _ in HELD.values()), out
        assert "0001-01-01 00:00:00" in out

    for kind in ("csv", "parquet"):
        target = tmp_path / f"moments.{kind}"
        assert lake.command("export", "gold.moments", "--to", str(target))[0] == 0
    with (tmp_path / "moments.csv").open() as file:
        assert [(r["id"], r["at"], r["day"]) for r in csv.DictReader(file)] == given
    exported = pq.read_table(tmp_path / "moments.parquet").select(["at", "day", "id"])
    assert exported.to_pylist() == expected

    monkeypatch.setenv("LAKEHOUSE_API_WRITE_KEYS", WRITE)
    monkeypatch.setenv("LAKEHOUSE_API_READ_KEYS", READ)
    with served(make_app(load_config(lake.overrides)), READ) as client:
        path = "/api/v1/tables/gold.moments/rows"
        found = client.get(path).json()["rows"]
        assert [r["at"] for r in found] == instants
        last = client.get(path, params={"filter": "at:ge:9999-12-31T00:00:00Z"}).json()["rows"]
        assert [r["id"] for r in last] == ["last"]

    with replace(postgres, name="far").connect() as connection:
        pushed = connection.execute("select at, day, id from moments order by at").fetchall()
    assert pushed == [(at.replace(tzinfo=None), day, n) for n, (at, day) in HELD.items()]


BAD = "select at, date_add(day, 2) as day, id from silver.moments"


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize(
    "lake", ["delta", pytest.param("iceberg", marks=pytest.mark.slow)], indirect=True
)
def test_a_query_that_makes_a_date_no_reader_holds_is_blocked(
    lake: Lakehouse, tmp_path: Path
) -> None:
    (tmp_path / "domains" / "sql" / "moments.sql").write_text(BAD)
    lake.deliver("moments_1.csv", ("id", "at", "day"), ("a", "2026-01-01 00:00:00", "9999-12-30"))
    done = lake.run("layers=[bronze,silver,gold]")
    assert done.status == 3
    assert "day has 10000-01-01" in str(done.table("gold.moments"))
    assert done.statuses()["gold.moments"] == "blocked"
