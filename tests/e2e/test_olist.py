"""The main job against the independent computation, on both formats."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.generate.olist.generator import generate
from tests.e2e.lakehouse import Lakehouse
from tests.oracle.compare import assert_equal
from tests.oracle.olist import KEYS, compute
from tests.oracle.star import assert_star_equals_marts
from tests.sessions import BOTH

ORDERS = 400
SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "olist_sample"


def files(folder: Path, *patterns: str) -> list[Path]:
    """CSV files of a folder whose names contain one of the patterns."""
    return [
        p
        for p in sorted(folder.rglob("*.csv"))
        if not patterns or any(x in p.name for x in patterns)
    ]


def copy(paths: list[Path], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copy(path, target / path.name)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small data with every kind of defect."""
    folder = tmp_path_factory.mktemp("generated")
    generate(folder, rows=ORDERS, seed=11, defects=0.02)
    return folder


@pytest.mark.parametrize("name", BOTH)
def test_first_load_equals_the_oracle_and_the_truth_file(
    make_lakehouse: Callable[..., Lakehouse], name: str, generated: Path
) -> None:
    lakehouse = make_lakehouse(name)
    copy(files(generated), lakehouse.landing)
    first = lakehouse.run()
    assert first.status == 0, first.summary["message"]
    oracle = compute([files(generated)])
    lakehouse.assert_equals(oracle)
    assert_star_equals_marts({name: lakehouse.table(f"gold.{name}") for name in oracle.gold})
    truth = json.loads((generated / "olist_truth.json").read_text())["quarantine"]
    for table, expected in truth.items():
        found = [(record, rule) for _, record, rule in lakehouse.quarantined(table)]
        assert sorted(found) == sorted((row["record"], row["rule"]) for row in expected), table

    before = lakehouse.versions()
    second = lakehouse.run()
    assert second.status == 0
    assert second.summary["message"] == "nothing new: no table was changed"
    assert lakehouse.versions() == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["delta", "iceberg"])
def test_three_deliveries_in_an_unkind_order_equal_one(
    make_lakehouse: Callable[..., Lakehouse], name: str, generated: Path, tmp_path: Path
) -> None:
    """Items, payments and reviews first; customers last; then some orders again, corrected."""
    lakehouse = make_lakehouse(name)
    late = files(generated, "_orders_", "products", "sellers", "geolocation", "translation")
    early = files(generated, "_order_items_", "_order_payments_", "_order_reviews_")
    last = files(generated, "customers")
    corrected = tmp_path / "olist_orders_dataset_corrected.csv"
    orders = next(p for p in late if "_orders_" in p.name).read_text().splitlines()
    changed = [line.replace(",delivered,", ",canceled,") for line in orders[1:60]]
    corrected.write_text("\n".join([orders[0], *changed]) + "\n")

    for delivery in (early, late, [*last, corrected]):
        copy(delivery, lakehouse.landing)
        result = lakehouse.run()
        assert result.status == 0, result.summary["message"]
    lakehouse.assert_equals(compute([early, late, [*last, corrected]]))


@pytest.mark.slow
def test_both_formats_give_the_same_gold(
    make_lakehouse: Callable[..., Lakehouse], generated: Path
) -> None:
    """Side by side in one lake folder."""
    root = None
    lakes = []
    for name in ("delta", "iceberg"):
        lake = make_lakehouse(name, root=root)
        root = lake.root
        copy(files(generated), lake.landing)
        assert lake.run().status == 0
        lakes.append(lake)
    for name, expected in compute([files(generated)]).gold.items():
        business = expected.column_names  # instants and tokens of the runs differ
        left, right = (lake.table(f"gold.{name}").select(business) for lake in lakes)
        assert_equal(left, right, KEYS[name], name=name)


@pytest.mark.slow
@pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"the real sample is not at {SAMPLE}")
def test_the_real_sample_runs_as_it_is(lakehouse: Lakehouse) -> None:
    copy(files(SAMPLE), lakehouse.landing)
    assert lakehouse.run().status == 0
    lakehouse.assert_equals(compute([files(SAMPLE)]))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_full_size_with_defects(lakehouse: Lakehouse, tmp_path: Path) -> None:
    """With Spark's own compilers, unlike the small tests."""
    generate(tmp_path / "full", rows=99_441, seed=7, defects=0.01)
    copy(files(tmp_path / "full"), lakehouse.landing)
    result = lakehouse.run_apart("spark=local", "spark.driver_memory=4g")
    assert result.status == 0, result.summary["message"]
    lakehouse.assert_equals(compute([files(tmp_path / "full")]))
