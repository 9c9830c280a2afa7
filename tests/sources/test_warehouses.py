"""Snowflake and Redshift as the page declares them: their own drivers, in Spark, against no server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "how-to" / "connect-jdbc.md"
HOSTS = {"SHOP_SNOWFLAKE_HOST": "127.0.0.1:1", "SHOP_REDSHIFT_HOST": "127.0.0.1:1"}
SECRET = "s3same-0pen"


@pytest.mark.slow
def test_a_warehouse_that_does_not_answer_is_tried_again(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    tables = {n: t for b in blocks for n, t in yaml.safe_load(b).get("bronze", {}).items()}
    text = json.dumps({name: tables[name] for name in ("stock", "visits")})
    for name, value in {**HOSTS, "SHOP_USER": "clerk"}.items():
        text = text.replace(f"${{oc.env:{name}}}", value)
    text = text.replace("${secret:", "{secret:")

    done = subprocess.run(
        [sys.executable, "-m", "tests.sources.driver_program", str(tmp_path), text],
        cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=500,
        env=os.environ | {"SHOP_PASSWORD": SECRET},
    )  # fmt: skip

    said = json.loads(done.stdout)
    assert {name: kind for name, (kind, _) in said.items()} == {
        "stock": "TransientError", "visits": "TransientError",
    }  # fmt: skip
    assert "127.0.0.1" in said["visits"][1]
    assert all(message.startswith("bronze.stock: ") for _, message in said.values())
    found = subprocess.run(["grep", "-rl", SECRET, str(tmp_path)], capture_output=True, check=False)
    assert found.stdout == b""
    assert SECRET not in done.stdout + done.stderr
