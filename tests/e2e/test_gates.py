"""A planted defect for each gate: it blocks with exit status 3, and what depends on it stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import DataFrame

from conf.load import load_config
from flows import steps
from flows.report.quality_report import report_path
from storage.plans import MergePlan
from storage.types import Commit, TableRef, Version
from tasks.context import Attempt, Context, GateReport, RunInfo
from tasks.domain.spec import SilverSpec
from tasks.gate.anomalies import RUNS
from tasks.merge import silver
from tasks.merge.intake import Intake
from tasks.ops import report as ops
from tasks.ops.report import TableOutcome
from tasks.ops.tables import ops_table
from tasks.run_table import publish
from tests.e2e.lakehouse import Lakehouse

SELLERS = ("seller_id", "seller_zip_code_prefix", "seller_city", "seller_state")
TRANSLATION = ("product_category_name", "product_category_name_english")
SOME = (
    "tables=[bronze.sellers,bronze.category_translation,silver.sellers,silver.category_translation]"
)
REPOSITORY = Path(__file__).parents[2]


def good(*ids: str) -> list[tuple[str, ...]]:
    return [(i, "01310", "sao paulo", "SP") for i in ids]


@pytest.fixture(params=["delta", pytest.param("iceberg", marks=pytest.mark.slow)])
def loaded(request: pytest.FixtureRequest, make_lakehouse: Callable[..., Lakehouse]) -> Lakehouse:
    """Sellers and translations are published once."""
    lakehouse = make_lakehouse(request.param)
    lakehouse.deliver("olist_sellers_dataset.csv", SELLERS, *good("s1", "s2"))
    lakehouse.deliver("product_category_name_translation.csv", TRANSLATION, ("bebes", "baby"))
    assert lakehouse.run(SOME).status == 0
    return lakehouse


def assert_blocks(lake: Lakehouse, table: str, says: str, *overrides: str) -> str:
    """The run blocks at the table; translations, which do not depend on it, are published."""
    lake.deliver("product_category_name_translation_2.csv", TRANSLATION, ("moveis", "furniture"))
    before, rows = lake.versions(), lake.table("silver.sellers").num_rows
    result = lake.run(SOME, *overrides)
    assert result.status == 3, result.summary["message"]
    assert result.statuses()[table] == "blocked"
    report = json.loads(report_path(load_config(lake.overrides)).read_text("utf-8"))
    assert (report["status"], report["run_id"]) == ("blocked", result.summary["run_id"])
    failed = {
        f"{c['layer']}.{c['table']}"
        for c in report["checks"]
        if c["outcome"] not in ("pass", "warn")
    }
    assert failed == {table}
    assert says in result.table(table)["message"]
    after = lake.versions()
    kept = [t for t in ("bronze.sellers", "silver.sellers") if t >= table]
    assert {t: after[t] for t in kept} == {t: before[t] for t in kept}
    assert lake.table("silver.sellers").num_rows == rows
    assert after["silver.category_translation"] != before["silver.category_translation"]
    (batch,) = result.table(table)["batches"]
    return str(batch)


def test_too_many_bad_rows(loaded: Lakehouse) -> None:
    bad = [("", "01310", "x", "SP") for _ in range(30)]
    loaded.deliver("olist_sellers_dataset_2.csv", SELLERS, *good("s3"), *bad)
    batch = assert_blocks(loaded, "silver.sellers", "30 of 31 rows")

    status, out, err = loaded.command("batch", "reject", batch)
    assert status == 0, err
    assert batch in out
    assert loaded.run(SOME).status == 0
    assert sorted(loaded.table("silver.sellers")["seller_id"].to_pylist()) == ["s1", "s2"]
    assert loaded.quarantined("sellers") == [], "the attempt that was blocked had staged 30 rows"
    assert loaded.run(SOME).summary["message"].startswith("nothing new")


@pytest.mark.slow
def test_a_value_outside_the_accepted_set(loaded: Lakehouse) -> None:
    loaded.deliver("olist_sellers_dataset_2.csv", SELLERS, ("s3", "01310", "nowhere", "XX"))
    batch = assert_blocks(loaded, "silver.sellers", "state")

    status, _, err = loaded.command("batch", "accept", batch, "--reason", "a new state")
    assert status == 0, err
    result = loaded.run(SOME)
    assert result.status == 0, result.summary["message"]
    assert "s3" in loaded.table("silver.sellers")["seller_id"].to_pylist()
    # Let through once: the next batch meets the same gate.
    loaded.deliver("olist_sellers_dataset_3.csv", SELLERS, ("s4", "01310", "nowhere", "XX"))
    assert loaded.run(SOME).status == 3


def test_a_dropped_column(loaded: Lakehouse) -> None:
    loaded.deliver("olist_sellers_dataset_2.csv", SELLERS[:3], ("s3", "01310", "sao paulo"))
    batch = assert_blocks(loaded, "bronze.sellers", "lacks seller_state")

    assert loaded.command("batch", "accept", batch, "--reason", "state comes later")[0] == 0
    assert loaded.run(SOME).status == 0
    row = next(r for r in loaded.table("silver.sellers").to_pylist() if r["seller_id"] == "s3")
    assert row["seller_state"] is None


@pytest.mark.slow
def test_half_of_the_rows_lost_between_two_layers(
    loaded: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = silver._judged_rows

    def half(context: Context, ref: TableRef, spec: SilverSpec, intake: Intake) -> DataFrame:
        rows = whole(context, ref, spec, intake)
        return rows.where("_record_number % 2 = 0") if ref.name == "sellers" else rows

    monkeypatch.setattr(silver, "_judged_rows", half)
    loaded.deliver("olist_sellers_dataset_2.csv", SELLERS, *good("s3", "s4"))
    batch = assert_blocks(loaded, "silver.sellers", "1 of 2 ingested rows")

    monkeypatch.undo()
    assert loaded.command("batch", "reject", batch)[0] == 0
    assert loaded.run(SOME).status == 0


@pytest.mark.slow
def test_a_key_made_not_unique_by_the_merge(
    loaded: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MergePlan, "condition", property(lambda _: "1 = 0"))
    loaded.deliver("olist_sellers_dataset_2.csv", SELLERS, *good("s2", "s3"))
    assert_blocks(loaded, "silver.sellers", "unique")

    monkeypatch.undo()
    assert loaded.run(SOME).status == 0
    assert sorted(loaded.table("silver.sellers")["seller_id"].to_pylist()) == ["s1", "s2", "s3"]


@pytest.mark.slow
def test_a_table_that_has_moved_on_since_its_check_is_staged_and_checked_once_more(
    loaded: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a run whose lock was lost: the attempt is refused, and the run goes on by itself."""
    theirs: list[Version] = []

    def meanwhile(context: Context, attempt: Attempt, report: GateReport) -> Commit:
        if attempt.table.label == "silver.sellers" and not theirs:
            head = context.store.head(attempt.table).record
            assert head is not None
            record = replace(head, token="theirs", rows={}, notes={"mark": True})
            theirs.append(context.store.checkpoint(attempt.table, record).version)
        return publish(context, attempt, report)

    monkeypatch.setattr(steps, "publish", meanwhile)
    loaded.deliver("olist_sellers_dataset_2.csv", SELLERS, *good("s3"))
    result = loaded.run(SOME)
    assert result.status == 0, result.summary["message"]
    assert result.statuses()["silver.sellers"] == "published"
    ids = sorted(loaded.table("silver.sellers")["seller_id"].to_pylist())
    assert ids == ["s1", "s2", "s3"]
    reader = loaded.reader
    history = reader.store.history(reader.config.domain.ref("silver.sellers"))
    assert [entry.version for entry in history[1:2]] == theirs


@pytest.mark.slow
def test_a_day_with_far_fewer_rows(loaded: Lakehouse) -> None:
    """Ten runs of about 1,000 rows are reported; then a delivery holds a single one."""
    store = loaded.reader.store
    for day in range(1, 11):
        run = RunInfo(f"day-{day}", datetime(2024, 1, day, tzinfo=UTC), "1.0")
        rows = {"ingested": 1000, "published": 990 + day % 2 * 10}
        outcome = TableOutcome(TableRef("olist", "silver", "sellers"), "published", rows)
        ops.report(store, "olist", run, [outcome], status="done", score=1.0, message="")
    loaded.deliver("olist_sellers_dataset_2.csv", SELLERS, *good("s3"))
    loaded.extra.append("domain.anomalies.mode=fail")
    assert_blocks(loaded, "silver.sellers", "below the lower control limit")

    loaded.extra.remove("domain.anomalies.mode=fail")
    assert loaded.run(SOME).status == 0
    found = loaded.reader.table(ops_table("check_results")).to_pylist()
    (warned,) = [r for r in found if r["outcome"] == "warn" and r["table_name"] == "silver.sellers"]
    assert warned["check_name"] == RUNS
    assert warned["message"].startswith("1 rows published, expected ")


@pytest.mark.slow
def test_a_check_that_cannot_be_evaluated(
    make_lakehouse: Callable[..., Lakehouse], tmp_path: Path
) -> None:
    checks = tmp_path / "checks"
    shutil.copytree(REPOSITORY / "checks" / "olist", checks)
    lake = make_lakehouse("delta", f"domain.roots.checks={checks}")
    lake.deliver("olist_sellers_dataset.csv", SELLERS, *good("s1", "s2"))
    lake.deliver("product_category_name_translation.csv", TRANSLATION, ("bebes", "baby"))
    assert lake.run(SOME).status == 0
    with (checks / "silver" / "sellers.yml").open("a") as file:
        file.write(
            "  - missing_count(no_such_column) = 0:\n      name: a column that is not there\n"
        )
    lake.deliver("olist_sellers_dataset_2.csv", SELLERS, *good("s3"))
    batch = assert_blocks(lake, "silver.sellers", "not evaluated")

    assert lake.command("batch", "accept", batch, "--reason", "known")[0] == 0
    assert lake.run(SOME).status == 0
    assert lake.table("silver.sellers").num_rows == 3
