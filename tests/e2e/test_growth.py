"""The growth domain through its first days, against the independent computation, on both formats."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.generate.growth import generate
from tests.e2e.growth_deliveries import (
    DAYS,
    LOADED,
    bad_day,
    by_day,
    late_corrections,
    with_new_column,
)
from tests.e2e.lakehouse import Lakehouse, Result
from tests.e2e.test_olist import copy
from tests.oracle.compare import assert_equal
from tests.oracle.growth import KEYS, compute

VISITS = 6_000
NOTHING = "nothing new: no table was changed"


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
        oracle = compute(self.delivered)
        for layer, tables in (("silver", oracle.silver), ("gold", oracle.gold)):
            for name, expected in tables.items():
                actual = self.lake.table(f"{layer}.{name}")
                assert_equal(actual, expected, KEYS[name], name=f"{layer}.{name}")
        for name, expected in oracle.quarantine.items():
            held = sorted(tuple(row.values()) for row in expected.to_pylist())
            assert self.lake.quarantined(name) == held, name


@pytest.mark.parametrize("name", ["delta", pytest.param("iceberg", marks=pytest.mark.slow)])
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

    last = told[DAYS[1]]
    with_new_column(next(p for p in last if "visits" in p.name), "device", ("phone", "desktop"))
    result = scenario.deliver(last + late_corrections(generated, tmp_path / "late"))
    assert result.status == 0, result.summary["message"]
    scenario.assert_equals_the_oracle()
    assert {"phone", "desktop"} <= set(lake.table("bronze.visits")["device"].to_pylist())
    changes = lake.table("ops.schema_changes").to_pylist()
    assert [c["change"] for c in changes] == ["brings device, which is not declared"]

    (good, broken), mended = bad_day(generated, tmp_path / "bad")
    before = lake.versions()
    copy([good, broken], lake.landing)
    result = lake.run()
    assert result.status == 3, result.summary["message"]
    assert result.statuses()["silver.billing"] == "blocked"
    after = lake.versions()
    moved = {table for table in after if after[table] != before[table]}
    assert moved == {"bronze.billing", "bronze.visits", "silver.visits"}
    (batch,) = result.table("silver.billing")["batches"]
    assert lake.command("batch", "reject", str(batch), "--reason", "amounts negated")[0] == 0

    scenario.delivered.append([good])
    assert scenario.deliver([mended]).status == 0
    scenario.assert_equals_the_oracle()
    assert lake.run().summary["message"] == NOTHING


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
    scenario = Scenario(lakehouse)
    scenario.delivered.append(files)
    scenario.assert_equals_the_oracle()
