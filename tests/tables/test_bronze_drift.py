"""What staging a delivery finds out about its columns, by mode; without Spark."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.runtime import Runtime
from storage.evolution import AddColumn
from storage.types import CommitRecord, TableRef
from tasks import run_table
from tasks.context import Attempt, Context, RunInfo
from tasks.domain.spec import DriftMode
from tasks.ingest import bronze, drift
from tasks.ingest.records import evolved_columns
from tasks.ops.tables import ops_table
from tasks.table.columns import additions

SELLERS = TableRef("olist", "bronze", "sellers")
HEADER = "seller_id,seller_zip_code_prefix,seller_city,seller_state"


@pytest.fixture(params=["delta", "iceberg"])
def context(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Context:
    config = make_config(request.param, tmp_path)
    context = Runtime(config, RunInfo("run-1", datetime.now(UTC), "1.0")).context(spark=False)
    assert isinstance(context.landing, Path)
    context.landing.mkdir()
    run_table.create(context, SELLERS)
    return context


def attempt(context: Context, mode: DriftMode, header: str, name: str = "") -> Attempt:
    context.domain.bronze["sellers"].drift = mode
    record = ",".join("x" for _ in header.split(","))
    assert isinstance(context.landing, Path)
    (context.landing / f"olist_sellers_dataset{name}.csv").write_text(f"{header}\n{record}\n")
    made = bronze.stage(context, SELLERS)
    assert made is not None
    return made


@pytest.mark.parametrize("mode", list(DriftMode))
def test_an_undeclared_column_is_rescued_added_or_blocked(
    context: Context, mode: DriftMode
) -> None:
    made = attempt(context, mode, f"{HEADER},rating,odd name,Rating")
    assert [p.message for p in made.problems] == (
        [
            "olist_sellers_dataset.csv: the header brings rating, odd name, Rating, which are not declared"
        ]
        if mode is DriftMode.freeze
        else []
    )
    # Both formats take names that differ by case for one.
    assert (made.notes.added or ()) == (("rating",) if mode is DriftMode.evolve else ())
    (entry,) = made.notes.drift or ()
    assert (entry.mode, list(entry.before)) == (mode.value, HEADER.split(","))
    assert made.notes.delivered == dict.fromkeys(
        [*HEADER.split(","), "rating", "odd name", "Rating"], "string"
    )


def test_the_declared_columns_are_no_drift(context: Context) -> None:
    assert attempt(context, DriftMode.freeze, HEADER).notes.drift is None


def test_a_blocked_difference_is_reported_once_with_both_schemas(context: Context) -> None:
    made = attempt(context, DriftMode.rescue, HEADER.replace("seller_state", "state"))
    (problem,) = made.problems
    assert problem.message.endswith("the header lacks seller_state (was it renamed to state?)")
    for _ in range(2):
        drift.record(context, made, outcome="blocked")
    (row,) = context.store.read_arrow(ops_table("schema_changes")).to_pylist()
    assert (row["table_name"], row["outcome"], row["batch_id"]) == (
        "bronze.sellers", "blocked", problem.batch_id
    )  # fmt: skip
    assert '"seller_state": "string"' in row["before"]
    assert '"state": "string"' in row["after"]


def test_what_evolved_is_in_the_table_and_expected_from_the_next_delivery(context: Context) -> None:
    first = attempt(context, DriftMode.evolve, f"{HEADER},rating")
    lacking = additions(context.store.columns(SELLERS), [("rating", "string")])
    assert lacking[0].after == "seller_state"
    last = context.store.columns(SELLERS).names[-1]  # elsewhere only Spark adds a column on Delta
    context.store.evolve(SELLERS, [AddColumn("rating", "string", last)])
    assert evolved_columns(context, SELLERS) == ["rating"]
    names = context.store.columns(SELLERS)
    context.store.append_arrow(
        SELLERS,
        names.empty_table(),
        CommitRecord("run-1", "t", files=first.files, notes=first.notes.stored()),
    )
    second = attempt(context, DriftMode.evolve, HEADER, "_2")
    (problem,) = second.problems
    assert problem.message.endswith("the header lacks rating")
    assert attempt(context, DriftMode.rescue, HEADER, "_3").problems == ()
