"""`lakehouse rollback`: told beforehand, done under the run's lock, and followed by a run."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from conf.load import load_config
from flows.runtime import lake_of, run_lock
from storage.types import TableRef
from tests.e2e.lakehouse import Lakehouse

SELLERS = ("seller_id", "seller_zip_code_prefix", "seller_city", "seller_state")
SOME = "tables=[bronze.sellers,silver.sellers]"


def seller(number: int) -> tuple[str, ...]:
    return (f"s{number}", "01310", "sao paulo", "SP")


@pytest.fixture(params=["delta", pytest.param("iceberg", marks=pytest.mark.slow)])
def loaded(request: pytest.FixtureRequest, make_lakehouse: Callable[..., Lakehouse]) -> Lakehouse:
    """Sellers came in two runs."""
    lake = make_lakehouse(request.param)
    for number in (1, 2):
        lake.deliver(f"olist_sellers_dataset_{number}.csv", SELLERS, seller(number))
        assert lake.run(SOME).status == 0
    return lake


def ids(lake: Lakehouse) -> list[str]:
    return sorted(lake.table("silver.sellers")["seller_id"].to_pylist())


def last_run(lake: Lakehouse) -> str:
    record = lake.reader.store.head(TableRef.parse("olist", "silver.sellers")).record
    assert record is not None
    return record.run_id


@pytest.mark.slow
def test_a_run_is_rolled_back_and_run_again(loaded: Lakehouse) -> None:
    run_id, before = last_run(loaded), loaded.versions()
    status, out, err = loaded.command("rollback", "--run", run_id, "--dry-run", "--json")
    assert status == 0, err
    planned = json.loads(out)
    assert [t["table"] for t in planned["tables"]] == ["silver.sellers", "bronze.sellers"]
    assert {t["version"] for t in planned["tables"]} == {None}
    assert loaded.versions() == before

    status, out, err = loaded.command("rollback", "--run", run_id, "--json")
    assert status == 0, err
    done = json.loads(out)
    after = loaded.versions()
    assert {t["table"]: t["version"] for t in done["tables"]} == {
        t["table"]: after[t["table"]] for t in planned["tables"]
    }
    assert ids(loaded) == ["s1"]
    report = loaded.table("ops.runs").to_pylist()
    assert [r["message"] for r in report if r["run_id"] == done["run_id"]] == [
        f"2 tables rolled back to before run {run_id}"
    ]

    status, out, _ = loaded.command("rollback", "--run", run_id)
    assert (status, out) == (0, "nothing to roll back: the tables are there already\n")
    assert loaded.run(SOME).status == 0
    assert ids(loaded) == ["s1", "s2"]
    assert loaded.run(SOME).summary["message"] == "nothing new: no table was changed"


@pytest.mark.slow
def test_a_batch_that_is_rejected_stays_out(loaded: Lakehouse) -> None:
    batch = loaded.table("bronze.sellers").to_pylist()
    (bad,) = {row["_batch_id"] for row in batch if row["seller_id"] == "s2"}
    assert loaded.command("rollback", "--run", last_run(loaded))[0] == 0
    assert loaded.command("batch", "reject", bad)[0] == 0
    assert loaded.run(SOME).summary["message"] == "nothing new: no table was changed"
    assert ids(loaded) == ["s1"]


def test_it_waits_for_a_run_that_is_going_on(make_lakehouse: Callable[..., Lakehouse]) -> None:
    lake = make_lakehouse("delta")
    config = load_config(lake.overrides)
    with lake_of(config).locks().hold(run_lock(config)):
        status, _, err = lake.command("rollback", "--run", "any", "locking.run_seconds=0.2")
    assert status == 1
    assert "was held by another process" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "say what to go back to: --run RUN_ID or --to VERSION"),
        (("--run", "a", "--to", "1"), "say what to go back to"),
        (("--to", "1"), "a version is one table's"),
        (("--run", "nobody"), "run nobody: it has written none of the chosen tables"),
    ],
    ids=["nothing", "both", "many", "unknown"],
)
def test_wrong_use_is_told(
    make_lakehouse: Callable[..., Lakehouse], options: tuple[str, ...], told: str
) -> None:
    status, _, err = make_lakehouse("delta").command("rollback", *options)
    assert status == 2
    assert told in err
