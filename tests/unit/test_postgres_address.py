"""Addresses of a shared catalog: what both clients are told, and what is refused."""

from __future__ import annotations

import pytest

from storage.errors import ConfigurationError
from storage.postgres import PostgresAddress
from storage.secrets import reference

PASSWORD = reference("CATALOG_PASSWORD")


def address(rest: str, password: str = PASSWORD) -> PostgresAddress:
    return PostgresAddress(f"jdbc:postgresql://{rest}", "lake", password)


@pytest.mark.parametrize(
    ("rest", "host", "port", "database"),
    [
        ("db.example.com/lake", "db.example.com", 5432, "lake"),
        ("127.0.0.1:6543/lake", "127.0.0.1", 6543, "lake"),
        ("[::1]:5432/lake", "::1", 5432, "lake"),
        ("h/my%20lake", "h", 5432, "my lake"),
    ],
)
def test_host_port_and_database_are_read(
    rest: str, host: str, port: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_PASSWORD", "a-long-passphrase")
    url = address(rest).sqlalchemy
    assert (url.host, url.port, url.database) == (host, port, database)
    assert (url.username, url.password) == ("lake", "a-long-passphrase")


def test_parameters_hold_for_both_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_PASSWORD", "a-long-passphrase")
    given = address("h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem&connectTimeout=5")
    for found in (given.arguments, given.sqlalchemy.query):
        assert (found["sslmode"], found["sslrootcert"]) == ("verify-full", "/etc/ca.pem")
        assert (found["connect_timeout"], found["keepalives_idle"]) == ("5", "30")
        assert "idle_session_timeout=0" in str(found["options"])


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("h/d?password=hunter2", "the parameter password is none of sslmode"),
        ("h/d?sslmode=require&currentSchema=s", "the parameter currentSchema is none of"),
        ("lake:hunter2@h/d", "has a user or a password"),
        ("h:hunter2/d", "its host or port is not readable"),
        ("h:5432,i:5432/d", "its host or port is not readable"),
        ("[::1/d", "its host or port is not readable"),
        ("h,i/d", "names no host, or several"),
        ("/d", "names no host, or several"),
        ("h", "names no database"),
        ("h/", "names no database"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_without_what_is_secret(
    rest: str, says: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        address(rest)
    assert says in caught.value.message
    assert caught.value.message.startswith("catalog.url: ")
    assert "hunter2" not in str(caught.value)


def test_another_kind_of_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not a JDBC address of a PostgreSQL") as caught:
        PostgresAddress("postgresql://lake:hunter2@h/d", "lake", PASSWORD)
    assert "hunter2" not in str(caught.value)


def test_a_password_is_a_reference_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match=r"catalog\.password: is written out") as caught:
        address("h/d", "hunter2")
    assert "hunter2" not in str(caught.value)
    assert "CATALOG_PASSWORD" not in repr(address("h/d"))
    assert address("h/d", "").password == ""
