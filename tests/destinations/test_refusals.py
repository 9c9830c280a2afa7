"""What a destination refuses, and what of it is worth a retry: a real PostgreSQL, without a lake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.errors import (
    ConfigurationError,
    DestinationError,
    DestinationUnavailableError,
    TerminalError,
    TransientError,
)
from tasks.destinations import positions, targets
from tasks.destinations.engines import engine_of, transaction
from tasks.destinations.positions import Position
from tasks.destinations.push import target_of
from tasks.domain.spec import DestinationSpec
from tests.destinations.shop import PASSWORD, TYPES, domain
from tests.services.postgres import Postgres

HERE = Position("shop gold.sales", "delta", "1", "token", 1)
WRONG = "a-wrong-passphrase"


def ensure(server: Postgres) -> None:
    """Create the table, or compare the one that is there."""
    spec = domain(server)
    target = target_of(spec, spec.pushes()[0])
    engine = engine_of("warehouse", spec.destinations["warehouse"])
    with transaction("warehouse", engine) as connection:
        targets.ensure(connection, target, TYPES, ["id"])


def position(server: Postgres) -> Position | None:
    """What the destination says of the table."""
    spec = domain(server)
    target = target_of(spec, spec.pushes()[0])
    engine = engine_of("warehouse", spec.destinations["warehouse"])
    with transaction("warehouse", engine) as connection:
        return positions.read(connection, target, HERE.source)


def connect(spec: DestinationSpec) -> None:
    with transaction("warehouse", engine_of("warehouse", spec)):
        pass


def test_a_table_that_is_as_declared_is_taken(server: Postgres) -> None:
    ensure(server)
    ensure(server)


def test_a_table_that_holds_more_is_taken(server: Postgres) -> None:
    ensure(server)
    server.run(
        "alter table sales alter pieces type bigint, alter amount type numeric",
        "alter table sales alter id type numeric(30,0), alter region type varchar",
        "alter table sales drop constraint sales_pkey, add unique nulls not distinct (id)",
    )

    ensure(server)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("alter amount type numeric(10,2)", "amount is numeric(10,2), wanted decimal(18,2)"),
        ("alter amount type numeric(18,4)", "amount is numeric(18,4), wanted decimal(18,2)"),
        ("alter moment type timestamptz", "moment is timestamp with time zone, wanted timestamp"),
        ("alter region type varchar(20)", "region is character varying(20), wanted string"),
        ("alter id type integer", "id is integer, wanted bigint"),
        ("alter share type real", "share is real, wanted double"),
        ("add mine text", "mine is not in the gold table"),
        ("drop constraint sales_pkey", "its primary key is none, wanted id"),
        ("drop constraint sales_pkey, add unique (id)", "its primary key is none, wanted id"),
    ],
)
def test_a_table_with_other_columns_is_refused(server: Postgres, change: str, says: str) -> None:
    ensure(server)
    server.run(f"alter table sales {change}")

    with pytest.raises(DestinationError) as caught:
        ensure(server)

    assert says in caught.value.message
    assert caught.value.message.startswith("sales exists with other columns: ")


def test_rows_of_someone_else_are_left_alone(server: Postgres) -> None:
    server.run("create table sales (id bigint primary key)")
    assert position(server) is None

    server.run("insert into sales values (5)")
    with pytest.raises(DestinationError, match="sales has rows that no push has written"):
        position(server)


def test_a_table_of_another_domain_is_refused(server: Postgres) -> None:
    ensure(server)
    spec = domain(server)
    target = target_of(spec, spec.pushes()[0])
    engine = engine_of("warehouse", spec.destinations["warehouse"])
    other = replace(HERE, source="bakery gold.sales")
    with transaction("warehouse", engine) as connection:
        positions.prepare(connection, None)
        positions.take(connection, target, None, other, "run")

    with pytest.raises(DestinationError, match=r"merged from bakery gold\.sales, not from shop"):
        position(server)


def test_of_two_first_pushes_one_is_refused_and_may_be_repeated(server: Postgres) -> None:
    spec = domain(server)
    target = target_of(spec, spec.pushes()[0])
    engine = engine_of("warehouse", spec.destinations["warehouse"])
    with transaction("warehouse", engine) as connection:
        positions.prepare(connection, None)
        positions.take(connection, target, None, HERE, "run")

    with (
        pytest.raises(DestinationUnavailableError, match="another push has moved it"),
        transaction("warehouse", engine) as connection,
    ):
        positions.take(connection, target, None, HERE, "run at the same time")


def test_a_connection_to_a_machine_that_is_gone_is_given_up(server: Postgres) -> None:
    engine = engine_of("warehouse", domain(server).destinations["warehouse"])
    with transaction("warehouse", engine) as connection:
        found = connection.exec_driver_sql("show tcp_keepalives_idle").scalar()
        client = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]

    assert found == "30"
    assert (client["keepalives_idle"], client["tcp_user_timeout"]) == ("30", "60000")


def test_a_wrong_password_is_terminal_and_not_told(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD, WRONG)

    with pytest.raises(DestinationError, match="password authentication failed") as caught:
        connect(domain(server).destinations["warehouse"])

    assert isinstance(caught.value, TerminalError)
    assert WRONG not in f"{caught.value} {caught.value!r}"
    assert caught.value.__suppress_context__
    assert caught.value.advice.startswith("Check the destination's user and password")


def test_a_secret_that_is_not_set_is_named(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PASSWORD)

    with pytest.raises(ConfigurationError, match=PASSWORD):
        connect(domain(server).destinations["warehouse"])


def test_a_server_that_is_down_is_worth_a_retry(server: Postgres) -> None:
    spec = domain(replace(server, port=1)).destinations["warehouse"]

    with pytest.raises(DestinationUnavailableError, match="destination warehouse: ") as caught:
        connect(spec)

    assert isinstance(caught.value, TransientError)


def test_a_database_that_is_not_there_is_terminal(server: Postgres) -> None:
    spec = domain(replace(server, name="nowhere")).destinations["warehouse"]

    with pytest.raises(DestinationError, match='database "nowhere" does not exist'):
        connect(spec)


def test_a_missing_grant_is_terminal(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    server.run(
        "drop role if exists reader", "create role reader login password 'a-readers-passphrase'"
    )
    monkeypatch.setenv(PASSWORD, "a-readers-passphrase")

    with pytest.raises(DestinationError, match="permission denied for schema public"):
        ensure(replace(server, user="reader"))
