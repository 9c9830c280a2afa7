from __future__ import annotations

import base64
import io
import json
import logging
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from omegaconf import OmegaConf

from conf.load import compose_config
from conf.overrides import refuse_untrusted
from flows.doctor import check_secret
from storage import masking, secrets
from storage.errors import ConfigurationError, InputError
from storage.failures import without_secrets
from storage.secrets import stores as secret_stores

SECRET = 'pa+s "w&rd/1é'


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(secret_stores.PREFIX_VARIABLE, raising=False)
    monkeypatch.setattr(masking, "_known", frozenset())
    monkeypatch.setattr(masking, "_pattern", None)


@pytest.fixture
def revealed(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)
    return secrets.reveal(secrets.reference("SHOP_PASSWORD"))


def test_a_reference_is_revealed_from_the_environment_and_hidden_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "s3cr3t-value")
    text = f"user=app;password={secrets.reference('SHOP_PASSWORD')}"

    assert "s3cr3t-value" not in text
    assert secrets.names(text) == ["SHOP_PASSWORD"]
    assert secrets.reveal(text) == "user=app;password=s3cr3t-value"
    assert secrets.hidden("login with s3cr3t-value failed") == "login with *** failed"


def test_a_secret_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    with pytest.raises(ConfigurationError, match="SHOP_PASSWORD"):
        secrets.reveal(secrets.reference("SHOP_PASSWORD"))


def test_a_secret_is_read_from_a_mounted_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret_stores, "MOUNTED", tmp_path)
    (tmp_path / "shop").write_text("first\nsecond\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "shop").write_text("another")

    assert secrets.reveal("{secret:file:shop}") == "first\nsecond"
    assert secrets.reveal(f"{{secret:file:{elsewhere}/shop}}") == "another"
    monkeypatch.setenv(secret_stores.PREFIX_VARIABLE, f"file:{elsewhere}/")
    assert secrets.reveal("{secret:shop}") == "another"
    (tmp_path / "void").write_text("\n")
    for name, complaint in (("none", "No such file"), ("void", "is empty"), (".", "directory")):
        with pytest.raises(ConfigurationError, match=complaint):
            secrets.reveal(f"{{secret:file:{name}}}")


def test_a_store_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(secret_stores.PREFIX_VARIABLE, "vault:shop/")
    with pytest.raises(ConfigurationError, match="names no store of secrets: 'vault'"):
        secrets.reveal("{secret:SHOP_PASSWORD}")


def test_configuration_holds_references_and_prints_them(revealed: str) -> None:
    written = "${secret:SHOP_PASSWORD} ${secret:file:shop} ${secret:aws:shop/prod,password}"
    composed = compose_config([f"domain.description='{written}'", "paths.lake=lake"])
    assert revealed not in OmegaConf.to_yaml(composed)
    assert written in OmegaConf.to_yaml(composed, resolve=False)
    assert composed.domain.description == (
        "{secret:SHOP_PASSWORD} {secret:file:shop} {secret:aws:shop/prod,password}"
    )


@pytest.mark.parametrize("value", ["${secret:SHOP}", "{secret:SHOP}", "a{secret:env:SHOP}b"])
def test_a_flow_parameter_refers_to_no_secret(value: str) -> None:
    with pytest.raises(ConfigurationError, match="references are not allowed"):
        refuse_untrusted([f"as_of={value}"], {})


@pytest.mark.parametrize("before", ["", "u:", "user:", "name@x:"])
def test_other_forms_of_a_secret_are_hidden_too(revealed: str, before: str) -> None:
    joined = f"{before}{revealed}:after"
    forms = [
        joined, quote_plus(joined), json.dumps(joined), repr(joined),
        base64.b64encode(joined.encode()).decode(),
        base64.urlsafe_b64encode(joined.encode()).decode(),
        base64.b64encode(revealed.encode()).decode(),
    ]  # fmt: skip
    for form in forms:
        shown = secrets.hidden(f"it said {form}.")
        assert "***" in shown
        for part in (revealed, quote_plus(revealed), json.dumps(revealed)[1:-1]):
            assert part not in shown
        middle = base64.b64encode(revealed.encode()).decode()[4:-6]
        assert middle not in shown


def test_long_lines_of_a_secret_are_hidden_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "-----BEGIN-----\nMIIEvQIBADANBg\nab\n")
    secrets.reveal("{secret:SHOP_KEY}")
    assert secrets.hidden("no key MIIEvQIBADANBg") == "no key ***"
    assert secrets.hidden("ab ") == "ab "


def test_a_short_secret_is_hidden_where_it_stands_as_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SHOP_USER", "app")
    secrets.reveal("{secret:SHOP_USER}")
    assert secrets.hidden("append for app: app_1, u=app&x, //app@h") == (
        "append for ***: ***_1, u=***&x, //***@h"
    )


def test_errors_are_masked_when_they_are_made(revealed: str) -> None:
    error = InputError(f"no login with {revealed}", advice=f"Change {revealed}.")
    assert str(error) == "no login with ***\n  Change ***."
    assert error.args == ("no login with ***",)


def test_an_unexpected_error_is_replaced_only_where_it_tells_a_secret(revealed: str) -> None:
    plain = KeyError("a")
    assert without_secrets(plain) is plain
    told = without_secrets(RuntimeError(f"cannot reach http://u:{quote_plus(revealed)}@h"))
    assert str(told) == "RuntimeError: cannot reach http://u:***@h"
    try:
        raise InputError("no answer") from OSError(revealed)
    except InputError as error:
        again = without_secrets(error)
    assert (type(again), str(again), again.__cause__) == (InputError, "no answer", None)


def test_log_records_are_masked_with_their_traceback(revealed: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("tests.secrets")
    logger.addHandler(handler)
    try:
        logger.error("login of %s with %s", "app", revealed)
        try:
            raise OSError(revealed)
        except OSError:
            logger.exception("it failed")
        logger.error("%s of %s", "plain", 2)
    finally:
        logger.removeHandler(handler)
    written = stream.getvalue()
    assert revealed not in written
    assert "login of app with ***" in written
    assert "OSError: ***" in written
    assert written.endswith("plain of 2\n")


def test_doctor_says_which_secrets_are_set_and_shows_none(revealed: str) -> None:
    found, lacking = check_secret("SHOP_PASSWORD"), check_secret("SHOP_TOKEN")
    assert (found.ok, found.found) == (True, "set (env:SHOP_PASSWORD)")
    assert (lacking.ok, lacking.found) == (False, "the secret SHOP_TOKEN is not set")
    assert revealed not in repr([found, lacking])
