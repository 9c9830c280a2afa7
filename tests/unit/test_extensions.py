"""Entry points of other distributions that cannot be loaded."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from storage.errors import ConfigurationError
from storage.extensions import extensions


def test_one_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lakehouse.toys]\ntoy = no_such_module:TOY\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    with pytest.raises(
        ConfigurationError, match="the toy no_such_module:TOY cannot be loaded: ModuleNotFoundError"
    ):
        list(extensions("lakehouse.toys", "toy"))
