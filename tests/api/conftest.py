from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.load import load_config
from conf.schema import Config
from tests.api.server import READ, WRITE

MakeConfig = Callable[..., Config]


def transaction(number: int | str, **changes: Any) -> dict[str, Any]:
    """A record that breaks no rule."""
    return {
        "transaction_id": f"t{number}", "account_id": "a1", "merchant_id": "m1", "amount": 12.5,
        "currency": "EUR", "transaction_ts": "2026-03-01T10:00:00Z", "channel": "web",
    } | changes  # fmt: skip


def composed(patch: pytest.MonkeyPatch, folder: Path, *overrides: str) -> Config:
    """Finance on folders below `folder`, with keys in the environment."""
    patch.setenv("LAKEHOUSE_API_WRITE_KEYS", f"{WRITE},another-write-key-0")
    patch.setenv("LAKEHOUSE_API_READ_KEYS", READ)
    folders = [f"paths.landing={folder / 'landing'}", f"paths.lake={folder / 'lake'}"]
    return load_config(["domain=finance", "env=test", *folders, *overrides])


@pytest.fixture
def make_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeConfig:
    """Composes finance on folders of the test."""
    return lambda *overrides: composed(monkeypatch, tmp_path, *overrides)
