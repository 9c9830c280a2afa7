"""Configurations for tests that work on tables without Spark."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from conf.load import load_config
from conf.schema import Config

MakeConfig = Callable[[str, Path], Config]
"""`make_config(format, folder)`: the configuration of a lake in that folder."""


@cache
def _composed(format_name: str) -> Config:
    return load_config(["env=test", f"format={format_name}", "paths.landing=/in", "paths.lake=/l"])


@pytest.fixture(scope="session")
def make_config() -> MakeConfig:
    """Makes configurations; composing takes a while and happens once a format."""

    def make(format_name: str, folder: Path) -> Config:
        config = copy.deepcopy(_composed(format_name))
        config.paths.landing = str(folder / "landing")
        config.paths.lake = str(folder / "lake")
        config.paths.reports = str(folder / "lake" / "_reports")
        config.paths.staging = str(folder / "lake" / "_staging")
        config.locking.table_seconds = 5.0
        return config

    return make
