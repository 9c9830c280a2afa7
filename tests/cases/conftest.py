"""The small domain of the inspections, with cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conf import load
from tasks.domain.spec import DomainSpec
from tests.inspection import shop

Write = Callable[..., DomainSpec]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """`write(text, table="gold/daily")`: the domain with a file of cases."""
    monkeypatch.setattr(load, "CONF", shop.write(tmp_path))
    monkeypatch.setattr(load, "PACKAGES", tmp_path)
    monkeypatch.setenv("LAKEHOUSE_LAKE", str(tmp_path / "lake"))
    monkeypatch.chdir(tmp_path)

    def make(text: str, table: str = "gold/daily") -> DomainSpec:
        file = tmp_path / "sql" / "tests" / f"{table}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return load.load_config(["domain=shop"]).domain

    return make
