"""Spark and what starts beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from conf.load import load_config
from conf.schema import Config
from flows import warmup
from storage.errors import TerminalError


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(["domain=olist", f"paths.lake={tmp_path}"])


def test_nothing_is_imported_while_the_jvm_is_launched(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    began = threading.Event()

    def launch(config: Config, launched: Callable[[], None]) -> None:
        del config
        began.wait(0.3)  # what would begin too early does so now
        order.append("launched")
        launched()

    def beside() -> None:
        order.append("beside")
        began.set()

    monkeypatch.setattr(warmup, "spark_session", launch)
    warmup.warm_up(config, beside)
    assert order == ["launched", "beside"]


def test_a_jvm_that_does_not_start_is_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(config: Config, launched: Callable[[], None]) -> None:
        raise TerminalError("no Java")

    monkeypatch.setattr(warmup, "spark_session", launch)
    with pytest.raises(TerminalError, match="no Java"):
        warmup.warm_up(config)
