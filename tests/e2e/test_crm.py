"""Crm from its sources, delivery by delivery, against the independent computation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.generate.crm import generate
from tests.e2e.lakehouse import Lakehouse
from tests.oracle.crm import KEYS, compute, read


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty days in three deliveries, with refunds up to three days late, a missing and a late rate."""
    folder = tmp_path_factory.mktemp("generated")
    generate(folder, rows=150, seed=11, defects=0.02, deliveries=3)
    return folder


def test_crm_files(make_lakehouse: Callable[..., Lakehouse], generated: Path) -> None:
    lake = make_lakehouse("delta", "domain=crm")
    lake.landing.mkdir(parents=True)
    for number in (1, 2, 3):
        for path in generated.glob(f"crm_*_{number:02}.*"):
            shutil.copy(path, lake.landing)
        result = lake.run()
        assert result.status == 0, result.summary["message"]
        lake.assert_equals(compute(read(lake.landing.iterdir())), KEYS)
