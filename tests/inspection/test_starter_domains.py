"""What `lakehouse init domain` writes is read by Spark as it is meant: queries, rules, checks, cases."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf.examine import examine
from conf.load import domain_files
from flows.cli import invoke
from tasks.authoring.inspection.looking import inspect_domain
from tests.steps.starter import ODD

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_nothing_is_wrong_with_it(
    text: str, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sales.csv").write_text(text, "utf-8")
    assert invoke(["init", "domain", "shop", "--from", "sales.csv", "--to", "out"]) == 0
    given = [f"domains={tmp_path / 'out'}", "paths.lake=lake"]
    examined = examine("shop", domain_files(given)["shop"], given)
    assert examined.config is not None
    inspect_domain(spark.newSession(), examined.config.domain, examined.findings)
    assert [str(f) for f in examined.findings.found] == []
