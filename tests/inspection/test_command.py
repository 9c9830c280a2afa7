"""The command `validate`: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf import load
from flows import scratch
from flows.cli import invoke
from tests.inspection import shop

DOMAIN = "conf/domain/shop.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def no_spark(config: object) -> None:
        raise AssertionError("Spark was started")

    monkeypatch.setattr(load, "CONF", shop.write(tmp_path))
    monkeypatch.setattr(load, "PACKAGES", tmp_path)
    monkeypatch.setattr(scratch, "spark_session", no_spark)
    monkeypatch.setenv("LAKEHOUSE_LAKE", str(tmp_path / "lake"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def with_spark(folder: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(scratch, "spark_session", lambda config: spark)
    return folder


def test_a_domain_that_cannot_be_composed_needs_no_spark(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.plant(folder, DOMAIN, "strategy: scd2", "strategy: scd3")
    assert invoke(["validate"]) == 2
    line = shop.line_with(folder / DOMAIN, "scd3")
    finding, total = capsys.readouterr().out.splitlines()
    assert finding.startswith(
        f"{DOMAIN}:{line}: error: domain.silver.shop_names.strategy: 'scd3' is"
    )
    assert total == "shop: 1 error, 0 warnings"


def test_an_unknown_domain_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["validate", "domain=shoop"]) == 2
    err = capsys.readouterr().err
    assert "domain: no choice 'shoop'" in err
    assert "Domains: shop" in err


def test_warnings_end_with_0_and_errors_with_2(
    with_spark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (with_spark / "sql" / "old.sql").write_text("select 1", "utf-8")
    assert invoke(["validate"]) == 0
    assert capsys.readouterr().out == (
        "sql/old.sql:1: warning: no table of the domain reads this file\nshop: 0 errors, 1 warning\n"
    )
    shop.plant(with_spark, "sql/gold/daily.sql", "sum(amount)", "sum(amuont)")
    assert invoke(["validate", "domain=shop", "--json"]) == 2
    error, warning = json.loads(capsys.readouterr().out)["shop"]
    assert error["message"].startswith(
        "A column, variable, or function parameter with name `amuont`"
    )
    assert {k: v for k, v in error.items() if k != "message"} == {
        "level": "error", "file": "sql/gold/daily.sql", "line": 4, "key": "domain.gold.daily.sql",
    }  # fmt: skip
    assert warning["level"] == "warning"
    assert not (with_spark / "lake").exists()
