"""The growth domain through its first days, against the independent computation, on both formats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf.load import load_config
from tasks.domain.sql_text import to_views
from tasks.generate.growth.generator import generate
from tests.e2e.growth_deliveries import (
    DAYS,
    LOADED,
    bad_day,
    by_day,
    late_corrections,
)
from tests.e2e.lakehouse import Lakehouse, Result
from tests.e2e.test_olist import copy
from tests.oracle.compare import assert_equal
from tests.oracle.growth import KEYS, compute
from tests.oracle.growth_gold import statistics

VISITS = 6_000
NOTHING = "nothing new: no table was changed"
EXPORTED = {
    f"{table}.csv"
    for table in (
        "calendar", "daily_kpis", "visitor_journeys", "conversion_funnel", "channel_performance",
        "revenue", "customer_health", "experiment_performance",
    )
} | {"export.json", "quality_report.json"}  # fmt: skip


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small data with every kind of defect."""
    folder = tmp_path_factory.mktemp("growth")
    generate(folder, rows=VISITS, seed=11, defects=0.02)
    return folder


class Scenario:
    """A lake, and all that was delivered to it and not rejected."""

    def __init__(self, lake: Lakehouse) -> None:
        self.lake = lake
        self.delivered: list[list[Path]] = []

    def deliver(self, files: list[Path]) -> Result:
        """Run with these files in the landing folder, and keep them for the oracle."""
        self.delivered.append(files)
        copy(files, self.lake.landing)
        return self.lake.run()

    def assert_equals_the_oracle(self) -> None:
        self.lake.assert_equals(compute(self.delivered), KEYS)


@pytest.mark.slow
def test_first_load_and_two_days_with_late_corrections(
    make_lakehouse: Callable[..., Lakehouse], generated: Path, tmp_path: Path
) -> None:
    lake = make_lakehouse("delta", "domain=growth")
    scenario = Scenario(lake)
    told = by_day(generated, tmp_path / "told")
    assert scenario.deliver(told[LOADED]).status == 0
    late = late_corrections(generated, tmp_path / "late")
    result = scenario.deliver(told[DAYS[0]] + told[DAYS[1]] + late)
    assert result.status == 0, result.summary["message"]
    scenario.assert_equals_the_oracle()
    assert lake.run().summary["message"] == NOTHING


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("name", ["delta", "iceberg"])
def test_first_load_days_corrections_a_new_column_and_a_bad_day(
    make_lakehouse: Callable[..., Lakehouse], name: str, generated: Path, tmp_path: Path
) -> None:
    lake = make_lakehouse(name, "domain=growth")
    scenario = Scenario(lake)
    told = by_day(generated, tmp_path / "told")

    result = scenario.deliver(told[LOADED])
    assert result.status == 0, result.summary["message"]
    scenario.assert_equals_the_oracle()

    before = lake.versions()
    assert lake.run().summary["message"] == NOTHING
    for file in told[LOADED]:  # the same content under another name
        shutil.copy(file, lake.landing / f"{file.stem}_again.csv")
    assert lake.run().summary["message"] == NOTHING
    assert lake.versions() == before

    assert scenario.deliver(told[DAYS[0]]).status == 0
    scenario.assert_equals_the_oracle()

    late = late_corrections(generated, tmp_path / "late")
    result = scenario.deliver(told[DAYS[1]] + late)
    assert result.status == 0, result.summary["message"]
    scenario.assert_equals_the_oracle()
    assert set(lake.table("bronze.visits")["device"].to_pylist()) == {None, "phone"}
    changes = lake.table("ops.schema_changes").to_pylist()
    assert {c["change"] for c in changes} == {"brings device, which is not declared"}

    (good, broken), fixed = bad_day(generated, tmp_path / "bad")
    before = lake.versions()
    copy([good, broken], lake.landing)
    result = lake.run(f"export.folder={tmp_path / 'out'}")
    assert result.status == 3, result.summary["message"]
    assert {file.name for file in (tmp_path / "out").iterdir()} == EXPORTED
    report = json.loads((tmp_path / "out" / "quality_report.json").read_text("utf-8"))
    assert {"layer": "silver", "table": "billing", "status": "blocked"} in report["tables"]
    kpis = (tmp_path / "out" / "daily_kpis.csv").read_text("utf-8").splitlines()
    assert len(kpis) == 1 + lake.table("gold.daily_kpis").num_rows
    assert result.statuses()["silver.billing"] == "blocked"
    after = lake.versions()
    moved = {table for table in after if after[table] != before[table]}
    assert moved == {"bronze.billing", "bronze.visits", "silver.visits"}
    (batch,) = result.table("silver.billing")["batches"]
    assert lake.command("batch", "reject", str(batch), "--reason", "amounts negated")[0] == 0

    scenario.delivered.append([good])
    assert scenario.deliver([fixed]).status == 0
    scenario.assert_equals_the_oracle()
    assert lake.run().summary["message"] == NOTHING


def test_p_values_are_exact_for_rates_that_hardly_differ_and_for_those_that_differ_wildly(
    spark: SparkSession,
) -> None:
    """The domain's own query on counts that no small file has."""
    counts = [
        ("close", "control", 20_000, 10_000),
        ("close", "new", 20_001, 10_001),
        ("far", "control", 2_000, 100),
        ("far", "new", 2_000, 1_100),
        ("further", "control", 2_000, 0),
        ("further", "new", 2_000, 2_000),
    ]
    session = spark.newSession()
    users = " union all ".join(
        f"select '{experiment}' experiment, '{variant}' variant, "
        f"concat_ws('-', '{experiment}', '{variant}', id) user_id, id < {x} pays from range({n})"
        for experiment, variant, n, x in counts
    )
    at = "timestamp'2024-01-01 10:00:00'"
    session.sql(
        f"select *, user_id assignment_id, {at} assigned_at from ({users})"
    ).createOrReplaceTempView("silver_experiments")
    session.sql(
        f"select user_id, 'paid' status, {at} paid_at from silver_experiments where pays"
    ).createOrReplaceTempView("silver_billing")
    domain = load_config(["domain=growth"]).domain
    query = Path(domain.roots.sql, domain.gold["experiment_performance"].sql)

    actual = session.sql(to_views(query.read_text(encoding="utf-8"))).toArrow()

    expected = statistics(counts)
    assert_equal(actual, expected, KEYS["experiment_performance"], name="experiment_performance")
    smallest = sorted(p for p in expected["p_value"].to_pylist() if p is not None)
    assert smallest[0] == 0 < smallest[1] < 1e-200
    assert smallest[2] > 0.98


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_full_size_with_defects(lakehouse: Lakehouse, tmp_path: Path) -> None:
    """With Spark's own compilers, unlike the small tests."""
    lakehouse.extra.append("domain=growth")
    generate(tmp_path / "full", rows=200_000, seed=7, defects=0.01)
    files = sorted((tmp_path / "full").glob("*.csv"))
    copy(files, lakehouse.landing)
    result = lakehouse.run_apart("spark=local", "spark.driver_memory=4g")
    assert result.status == 0, result.summary["message"]
    lakehouse.assert_equals(compute([files]), KEYS)
