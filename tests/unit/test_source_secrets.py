from __future__ import annotations

import pytest

from tasks.domain.spec import SourceKind, SourceSpec
from tasks.ingest.sources.secrets import has_unreferenced, redacted


def source(url: str, **options: str) -> SourceSpec:
    return SourceSpec(columns=["id"], kind=SourceKind.jdbc, url=url, table="t", options=options)


@pytest.mark.parametrize(
    ("url", "options", "secret"),
    [
        ("jdbc:postgresql://h/db?user=u&password=gehe1m&ssl=true", {}, "gehe1m"),
        ("jdbc:postgresql://u:gehe1m@h:5432/db", {}, "gehe1m"),
        ("jdbc:sqlserver://h:1433;user=u;password={gehe;1m};encrypt=true", {}, "gehe;1m"),
        ("jdbc:derby:memory:x;user=u;password=gehe1m", {}, "gehe1m"),
        ("jdbc:oracle:thin:scott/gehe1m@//h:1521/db", {}, "gehe1m"),
        ("jdbc:postgresql://h/db", {"user": "u", "password": "gehe1m"}, "gehe1m"),
        ("jdbc:postgresql://h/db", {"sslpassword": "gehe1m"}, "gehe1m"),
        ("jdbc:snowflake://h/?db=d", {"private_key_base64": "gehe1m"}, "gehe1m"),
        ("jdbc:x://h/db", {"accessToken": "gehe1m"}, "gehe1m"),
    ],
)
def test_no_credential_is_left_in_a_message(url: str, options: dict[str, str], secret: str) -> None:
    text = redacted(
        f"cannot connect to {url} with {secret}: tried {secret!r}", source(url, **options)
    )
    assert secret not in text
    assert "cannot connect to jdbc:" in text
    assert "***" in text


def test_what_is_no_credential_stays() -> None:
    url = "jdbc:postgresql://h:5432/db?user=u&ssl=true"
    text = f"role u is not known at {url}"
    assert redacted(text, source(url, user="u", driver="org.postgresql.Driver")) == text


def test_a_source_does_not_show_its_credentials() -> None:
    shown = repr(source("jdbc:x://h/db?password=gehe1m", password="gehe1m"))
    assert "gehe1m" not in shown


@pytest.mark.parametrize(
    ("url", "has"),
    [
        ("jdbc:sqlserver://h:1433;database=d;user=me@h;encrypt=true", False),
        ("jdbc:sqlserver://h:1433;database=d;user=me@h;password=gehe1m", True),
        ("jdbc:snowflake://h/?db=d&private_key_file=/run/key.p8&private_key_pwd={secret:P}", False),
        ("jdbc:mysql://h/d?passwordCharacterEncoding=UTF-8&user=u", False),
        ("jdbc:oracle:thin:scott/{secret:TIGER}@//h:1521/d", False),
        ("jdbc:oracle:thin:scott/tiger@//h:1521/d", True),
        ("https://api.example.org/?hapikey=gehe1m", True),
    ],
)
def test_what_an_address_holds_itself(url: str, has: bool) -> None:
    assert has_unreferenced(url) is has
