"""The cases of every domain of the platform hold, and each of its gold tables has one."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from conf.load import domain_files, load_config
from tasks.authoring.cases.reading import read
from tasks.authoring.cases.running import Runner


@pytest.mark.parametrize("name", sorted(domain_files()))
def test_the_cases_of_a_domain_hold(name: str, spark: SparkSession) -> None:
    domain = load_config([f"domain={name}", "paths.landing=/in", "paths.lake=/l"]).domain
    cases = read(domain)
    bare = {f"gold.{table}" for table in domain.gold} - {case.table.label for case in cases}
    assert not bare, "gold tables without a case"
    runner = Runner(spark, domain)
    failed = [outcome for case in cases if not (outcome := runner.run(case)).passed]
    assert not failed, "\n".join(
        line for o in failed for line in (f"{o.case.place}: {o.case.name}", *o.differences)
    )
