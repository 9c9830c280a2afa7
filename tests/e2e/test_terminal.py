"""A run on a terminal that has no Prefect server to report to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.cli import invoke
from tests.e2e.lakehouse import Lakehouse

PROGRAM = """
import sys
from flows.cli import invoke
print(invoke(sys.argv[1:]), "prefect" in sys.modules)
"""


@pytest.mark.spark
def test_a_run_of_its_own_starts_no_server(
    tmp_path: Path, make_lakehouse: Callable[..., Lakehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "landing" / "things_2026.csv"
    file.parent.mkdir()
    file.write_text("id,price\n1,2.50\n")
    domains = tmp_path / "domains"
    assert invoke(["init", "domain", "odd", "--from", str(file), "--to", str(domains)]) == 0
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    lake = make_lakehouse("delta", "domain=odd", f"domains={domains}", root=tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "run", *lake.overrides],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["0 False"], done.stderr
    assert lake.reader.table(lake.reader.config.domain.ref("silver.things")).num_rows == 1
