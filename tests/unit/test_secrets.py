from __future__ import annotations

import pytest

from storage import secrets
from storage.errors import ConfigurationError


def test_a_reference_is_revealed_from_the_environment_and_hidden_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "s3cr3t-value")
    text = f"user=app;password={secrets.reference('SHOP_PASSWORD')}"

    assert "s3cr3t-value" not in text
    assert secrets.reveal(text) == "user=app;password=s3cr3t-value"
    assert secrets.hidden("login with s3cr3t-value failed") == "login with *** failed"


def test_a_secret_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    with pytest.raises(ConfigurationError, match="SHOP_PASSWORD"):
        secrets.reveal(secrets.reference("SHOP_PASSWORD"))
