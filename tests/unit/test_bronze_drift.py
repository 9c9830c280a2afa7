"""What staging a delivery finds out about its columns, by mode; without Spark."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.runtime import Runtime
from storage.evolution import AddColumn
from storage.types import CommitRecord, TableRef
from tasks import bronze, drift, ops, tables
from tasks.bench import Bench, RunInfo, Staged
from tasks.spec import DriftMode

SELLERS = TableRef("olist", "bronze", "sellers")
HEADER = "seller_id,seller_zip_code_prefix,seller_city,seller_state"


@pytest.fixture(params=["delta", "iceberg"])
def bench(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Bench:
    config = make_config(request.param, tmp_path)
    bench = Runtime(config, RunInfo("run-1", datetime.now(UTC), "1.0")).bench(spark=False)
    bench.landing.mkdir()
    tables.create(bench, SELLERS)
    return bench


def staged(bench: Bench, mode: DriftMode, header: str, name: str = "") -> Staged:
    bench.domain.bronze["sellers"].drift = mode
    record = ",".join("x" for _ in header.split(","))
    (bench.landing / f"olist_sellers_dataset{name}.csv").write_text(f"{header}\n{record}\n")
    made = bronze.stage(bench, SELLERS)
    assert made is not None
    return made


@pytest.mark.parametrize("mode", list(DriftMode))
def test_an_undeclared_column_is_rescued_added_or_blocked(bench: Bench, mode: DriftMode) -> None:
    made = staged(bench, mode, f"{HEADER},rating,odd name,Rating")
    assert [p.message for p in made.problems] == (
        [
            "olist_sellers_dataset.csv: the header brings rating, odd name, Rating, which are not declared"
        ]
        if mode is DriftMode.freeze
        else []
    )
    # Both formats take names that differ by case for one.
    assert made.notes.get(drift.EVOLVED, []) == (["rating"] if mode is DriftMode.evolve else [])
    (entry,) = made.notes[drift.DRIFT]
    assert (entry["mode"], list(entry["before"])) == (mode.value, HEADER.split(","))
    assert made.notes[drift.DELIVERED] == dict.fromkeys(
        [*HEADER.split(","), "rating", "odd name", "Rating"], "string"
    )


def test_the_declared_columns_are_no_drift(bench: Bench) -> None:
    assert drift.DRIFT not in staged(bench, DriftMode.freeze, HEADER).notes


def test_a_blocked_difference_is_reported_once_with_both_schemas(bench: Bench) -> None:
    made = staged(bench, DriftMode.rescue, HEADER.replace("seller_state", "state"))
    (problem,) = made.problems
    assert problem.message.endswith("the header lacks seller_state (was it renamed to state?)")
    for _ in range(2):
        drift.record(bench, made, outcome="blocked")
    (row,) = bench.store.read_arrow(ops.ref("schema_changes")).to_pylist()
    assert (row["table_name"], row["outcome"], row["batch_id"]) == (
        "bronze.sellers", "blocked", problem.batch_id
    )  # fmt: skip
    assert '"seller_state": "string"' in row["before"]
    assert '"state": "string"' in row["after"]


def test_what_evolved_is_in_the_table_and_expected_from_the_next_delivery(bench: Bench) -> None:
    first = staged(bench, DriftMode.evolve, f"{HEADER},rating")
    lacking = drift.additions(bench.store.columns(SELLERS), [("rating", "string")])
    assert lacking[0].after == "seller_state"
    last = bench.store.columns(SELLERS).names[-1]  # elsewhere only Spark adds a column on Delta
    bench.store.evolve(SELLERS, [AddColumn("rating", "string", last)])
    assert bronze.evolved_columns(bench, SELLERS) == ["rating"]
    names = bench.store.columns(SELLERS)
    bench.store.append_arrow(
        SELLERS,
        names.empty_table(),
        CommitRecord("run-1", "t", files=first.files, notes=first.notes),
    )
    second = staged(bench, DriftMode.evolve, HEADER, "_2")
    (problem,) = second.problems
    assert problem.message.endswith("the header lacks rating")
    assert staged(bench, DriftMode.rescue, HEADER, "_3").problems == ()
