"""`catalog=postgres` as `docs/how-to/share-a-lake.md` says: runs of several machines on one Iceberg lake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.lakehouse import Lakehouse
from tests.services.postgres import Postgres

SELLERS = ("seller_id", "seller_zip_code_prefix", "seller_city", "seller_state")
SOME = "tables=[bronze.sellers,silver.sellers]"


@pytest.fixture
def server(postgres: Postgres) -> Postgres:
    return postgres.database("shared_lake")


@pytest.fixture
def lake(
    server: Postgres, make_lakehouse: Callable[..., Lakehouse], monkeypatch: pytest.MonkeyPatch
) -> Lakehouse:
    monkeypatch.setenv("LAKEHOUSE_CATALOG_URL", server.jdbc)
    monkeypatch.setenv("LAKEHOUSE_CATALOG_USER", server.user)
    monkeypatch.setenv("LAKEHOUSE_CATALOG_PASSWORD", server.password)
    return make_lakehouse("iceberg", "catalog=postgres", SOME, "retry.attempts=0")


def sellers(lake: Lakehouse) -> list[tuple[str, str]]:
    rows = lake.table("silver.sellers").sort_by("seller_id").to_pylist()
    return [(row["seller_id"], row["seller_city"]) for row in rows]


@pytest.mark.slow
def test_machines_take_turns_on_one_lake(
    lake: Lakehouse, server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One machine loads, another one, with a folder of its own, goes on, and the first sees what it did."""
    lake.deliver("olist_sellers_dataset_1.csv", SELLERS, ("s1", "01310", "sao paulo", "SP"))
    first = lake.run()
    assert first.statuses() == {"bronze.sellers": "published", "silver.sellers": "published"}

    lake.deliver(
        "olist_sellers_dataset_2.csv", SELLERS,
        ("s1", "01310", "campinas", "SP"), ("s2", "20031", "rio de janeiro", "RJ"),
    )  # fmt: skip
    with monkeypatch.context() as there:
        there.chdir(_made(tmp_path / "another machine"))
        there.setenv("PREFECT_HOME", str(tmp_path / "another machine" / "prefect"))
        second = lake.run_apart("spark=small")
    assert second.statuses() == {"bronze.sellers": "published", "silver.sellers": "published"}
    assert second.table("bronze.sellers")["rows"]["published"] == 2

    assert sellers(lake) == [("s1", "campinas"), ("s2", "rio de janeiro")]
    again = lake.run()
    assert set(again.statuses().values()) == {"unchanged"}
    with server.connect() as connection:
        tables = connection.execute("select table_name from iceberg_tables").fetchall()
    assert ("sellers",) in tables
    assert not list(lake.root.rglob("catalog.db"))
    runs = lake.reader.table(lake.reader.config.domain.ref("ops.runs")).column("status").to_pylist()
    assert runs == ["done"] * 3


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
