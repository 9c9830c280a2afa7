"""Secrets of AWS Secrets Manager, asked of a local server that checks who asks."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from storage import secrets
from storage.errors import ConfigurationError, TransientError
from storage.secrets import stores as secret_stores
from tests.services.s3 import S3


@pytest.fixture
def aws(s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The environment of AWS's tools names the server."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(secret_stores, "_aws_values", {})
    monkeypatch.delenv(secret_stores.PREFIX_VARIABLE, raising=False)
    return s3


@pytest.fixture
def name(aws: S3) -> str:
    """A secret of its own with two keys."""
    name = f"shop/{uuid4().hex}"
    text = json.dumps({"user": "app", "password": "gehe1m", "port": 5432})
    aws.client("secretsmanager").create_secret(Name=name, SecretString=text)
    return name


def test_a_key_of_a_secret_and_the_whole_are_revealed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert secrets.reveal(f"{{secret:aws:{name},password}}") == "gehe1m"
    assert secrets.reveal(f"{{secret:aws:{name},port}}") == "5432"
    assert json.loads(secrets.reveal(f"{{secret:aws:{name}}}"))["user"] == "app"
    monkeypatch.setenv(secret_stores.PREFIX_VARIABLE, f"aws:{name},")
    assert secrets.reveal("{secret:password}") == "gehe1m"
    assert "gehe1m" not in secrets.hidden("not with gehe1m")


def test_a_rotated_secret_is_taken_up(aws: S3, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert secrets.reveal(f"{{secret:aws:{name},user}}") == "app"
    aws.client("secretsmanager").put_secret_value(SecretId=name, SecretString='{"user": "next"}')
    assert secrets.reveal(f"{{secret:aws:{name},user}}") == "app"
    monkeypatch.setattr(secret_stores, "KEPT_SECONDS", 0.0)
    assert secrets.reveal(f"{{secret:aws:{name},user}}") == "next"


def test_what_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match="aws:shop/none: ResourceNotFoundException"):
        secrets.reveal("{secret:aws:shop/none}")
    with pytest.raises(ConfigurationError, match="is not a JSON object with the key token"):
        secrets.reveal(f"{{secret:aws:{name},token}}")
    assert secret_stores.missing(f"aws:{name},user") == ""


def test_wrong_credentials_are_terminal_and_no_answer_is_transient(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ConfigurationError, match=f"aws:{name}: ") as refused:
        secrets.reveal(f"{{secret:aws:{name}}}")
    assert "rights" in refused.value.advice
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(TransientError, match="Could not connect"):
        secrets.reveal(f"{{secret:aws:{name}}}")
