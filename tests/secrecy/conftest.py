from __future__ import annotations

import pytest

from storage import masking


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test reveals is not masked in the next one."""
    monkeypatch.setattr(masking, "_known", frozenset())
    monkeypatch.setattr(masking, "_pattern", None)
