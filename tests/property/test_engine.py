"""Any batching, permutation, duplication or replay of an event log gives the tables of the sorted log."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from pyspark.sql import SparkSession

from storage.formats import formats_for
from tests.conftest import MakeLake
from tests.property.delivery import plan_delivery
from tests.property.domain import load_domain
from tests.property.engine import assert_nothing_left, run_delivery
from tests.property.events import make_log


@pytest.mark.parametrize("format_name", formats_for())
def test_a_small_delivery_gives_the_tables_of_the_sorted_log(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, format_name: str
) -> None:
    random = Random(7)
    plan = plan_delivery(random, make_log(random, events=40, keys=8), batches=2)
    lake, landing = make_lake(format_name), tmp_path / "landing"
    assert len(list(run_delivery(spark, lake, load_domain(), landing, plan))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("format_name", formats_for())
def test_any_delivery_gives_the_tables_of_the_sorted_log(
    spark: SparkSession, make_lake: MakeLake, tmp_path: Path, format_name: str, seed: int
) -> None:
    random = Random(seed)
    plan = plan_delivery(random, make_log(random, events=320, keys=40), batches=8)
    domain, lake, landing = load_domain(), make_lake(format_name), tmp_path / "landing"
    assert len(list(run_delivery(spark, lake, domain, landing, plan))) == 8
    assert_nothing_left(spark, lake, domain, landing, plan)
