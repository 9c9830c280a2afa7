"""A staging folder belongs to one lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.runtime import Runtime, domain_lock, new_run
from storage.errors import ConfigurationError


def test_two_lakes_do_not_share_a_staging_folder(make_config: Any, tmp_path: Path) -> None:
    def take(lake: str) -> None:
        config = make_config("delta", tmp_path)
        config.paths.lake, config.paths.staging = str(tmp_path / lake), str(tmp_path / "staging")
        with domain_lock(Runtime(config, new_run())):
            pass

    take("one")
    take("one")
    with pytest.raises(
        ConfigurationError, match=r"paths.staging: .*/staging is the staging folder of "
    ):
        take("other")
    (tmp_path / "one").rename(tmp_path / "moved")
    take("moved")
    with pytest.raises(ConfigurationError, match=r"of the lake .*/moved"):
        take("other")
