"""The configuration and the commands of the page on files, with a real bucket."""

from __future__ import annotations

import gzip
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.cli import invoke
from tests.secrecy.domain import Place, page_blocks
from tests.services.s3 import S3

pytestmark = pytest.mark.spark
HEADER = "sale_id,customer_id,amount,sold_at\n"


@pytest.fixture
def overrides(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The overrides of the page's command that gives credentials by reference, for the local server."""
    [text] = [b for b in page_blocks("connect-files.md", "sh") if "landing_options" in b]
    words = shlex.split(text.replace("\\\n", " "))
    assert words[:2] == ["lakehouse", "run"]
    assert any("https://s3.shop.internal" in word for word in words)
    monkeypatch.setenv("SHOP_S3_KEY", s3.key)
    monkeypatch.setenv("SHOP_S3_SECRET", s3.secret)
    monkeypatch.chdir(tmp_path)
    Place(tmp_path, {}).declare(yaml.safe_load(page_blocks("connect-files.md", "yaml")[0]))
    given = [word.replace("https://s3.shop.internal", s3.endpoint) for word in words[2:]]
    return [*given, f"domains={tmp_path}/domains", "env=test", f"paths.lake={tmp_path}/lake"]


def run(
    capsys: pytest.CaptureFixture[str], command: str, *arguments: str
) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    status = invoke([command, "--json", *arguments])
    out, err = capsys.readouterr()
    assert out, err
    return status, {t["table"]: (t["status"], t["rows"]) for t in json.loads(out)["tables"]}


def test_the_pages_domain_takes_files_of_a_bucket(
    spark: object, prefect_home: None, s3: S3, overrides: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    del spark, prefect_home
    s3.make_bucket("shop-deliveries")
    first = gzip.compress(f"{HEADER}7,1,1.50,2026-03-01 10:00:00\n".encode())
    s3.put("shop-deliveries", "in/sales/2026/03/a.csv.gz", first)
    status, tables = run(capsys, "run", *overrides)
    assert status == 0
    assert tables["silver.sales"][1]["published"] == 1

    status, tables = run(capsys, "run", *overrides)
    assert {state for state, _ in tables.values()} == {"unchanged"}

    status, tables = run(capsys, "ingest", "--again", "sales/2026/03/a.csv.gz", *overrides)
    assert tables["bronze.sales"] == ("published", {"ingested": 1, "published": 1})
    assert invoke(["ingest", "--again", "sales/none.csv.gz", *overrides]) == 2
    assert "no such file in the landing folder s3://shop-deliveries/in" in capsys.readouterr().err
