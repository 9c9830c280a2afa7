"""What does not fit together in a destination, found without a connection; and Snowflake's statements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.schema import CreateTable

from storage.errors import ConfigurationError
from storage.secrets import reference
from tasks.destinations.engines import connect_arguments, engine_of
from tasks.destinations.staging import Key, merge_sql, stage_table
from tasks.destinations.targets import target_table
from tasks.destinations.validation import destination_problems
from tasks.domain.spec import ColumnSpec, DestinationSpec, DomainSpec, GoldSpec
from tasks.manage.planning import selected_pushes

GOOD = DestinationSpec(
    url="postgresql+psycopg://u@h/d", password=reference("P"), schema="s", tables=["gold.sales"]
)
TYPES = {"id": "bigint", "Day": "date", "at": "timestamp", "amount": "decimal(18,2)", "x": "double"}


def domain(columns: dict[str, str] | None = None, **changes: Any) -> DomainSpec:
    specs = {name: ColumnSpec(type=kind) for name, kind in (columns or TYPES).items()}
    gold = {"sales": GoldSpec(key=["id"], sql="sales.sql", columns=specs)}
    return DomainSpec(name="shop", gold=gold, destinations={"warehouse": replace(GOOD, **changes)})


def test_a_consistent_destination_has_no_problem() -> None:
    assert destination_problems(domain()) == []
    assert destination_problems(domain(url="", password="", schema="")) == []
    assert destination_problems(domain(url="snowflake://u@account/d?warehouse=w")) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"url": "nonsense"}, "url: is not a URL of SQLAlchemy"),
        ({"url": "mysql://u@h/d"}, "url: mysql is none of postgresql+psycopg, snowflake"),
        ({"url": "postgresql+psycopg://u:hidden@h/d"}, "url: has a password"),
        ({"url": "postgresql+psycopg://u@h/d?password=hidden"}, "url: has a password"),
        ({"url": "snowflake://u@a/d?token=hidden"}, "url: has a password"),
        ({"password": "hidden"}, "password: is written out"),
        ({"user": "other"}, "user: other is not the user of the url, u"),
        ({"schema": "a b"}, "schema: 'a b' is not made of letters"),
        ({"tables": []}, "tables: no tables"),
        ({"tables": ["gold.sales", "gold.sales"]}, "tables: gold.sales is named more than once"),
        ({"tables": ["silver.sales"]}, "tables: 'silver.sales' is not a gold table"),
        ({"columns": {"id": "bigint", "x" * 64: "int"}}, "a name that a destination does not take"),
        ({"columns": {"id": "bigint", "ID": "int"}}, "columns that differ from id in case only"),
    ],
)
def test_a_problem_is_named_without_what_is_secret(changes: dict[str, Any], says: str) -> None:
    found = destination_problems(domain(**changes))

    assert says in found[0]
    assert all(text.startswith("domain.destinations.warehouse.") for text in found)
    assert "hidden" not in " ".join(found)


def test_a_destination_is_a_layer_of_its_own_and_none_without_a_url() -> None:
    def labels(spec: DomainSpec, *layers: str, tables: tuple[str, ...] = ()) -> list[str]:
        return [push.ref.label for push in selected_pushes(spec, layers, tables)]

    assert labels(domain()) == ["destination.warehouse.sales"]
    assert labels(domain(), "destination", tables=("gold.sales",)) == [
        "destination.warehouse.sales"
    ]
    assert labels(domain(), "gold") == []
    assert labels(domain(), tables=("gold.other",)) == []
    assert labels(domain(url="")) == []


def test_a_secret_is_put_in_where_a_connection_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("P", "a-long-passphrase")
    spec = replace(GOOD, user="u", options={"sslmode": "require", "connect_timeout": "3"})

    url, options = connect_arguments(spec)

    assert (url.password, url.host) == ("a-long-passphrase", "h")
    assert options["sslmode"] == "require"
    assert options["connect_timeout"] == "3"
    assert "a-long-passphrase" not in f"{spec!r} {url!r}"


def test_a_url_that_the_driver_refuses_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'host' cannot be set via the URL") as caught:
        engine_of("warehouse", replace(GOOD, url="snowflake://u@a/d?host=h", password=""))

    assert caught.value.message.startswith("destination warehouse: url: ")
    assert "domain.destinations.warehouse.options" in caught.value.advice


def test_snowflake_gets_tables_and_a_merge_that_it_reads() -> None:
    engine = create_engine("snowflake://u@account/db")
    target = target_table("sales", "s", TYPES, ["id"])

    class Connection:
        dialect = engine.dialect

    connection: Any = Connection()
    stage = stage_table(connection, target)
    created = " ".join(str(CreateTable(target).compile(dialect=engine.dialect)).split())
    attempt = " ".join(str(CreateTable(stage).compile(dialect=engine.dialect)).split())

    assert created.startswith('CREATE TABLE s.sales ( id BIGINT NOT NULL, "Day" DATE, at datetime,')
    assert created.endswith("amount NUMERIC(18, 2), x DOUBLE, PRIMARY KEY (id) )")
    assert attempt.startswith("CREATE TEMPORARY TABLE s.")
    merged = merge_sql(connection, target, stage, Key(["id"])).splitlines()
    assert merged[0] == "MERGE INTO s.sales t"
    assert merged[1].endswith(" s ON t.id = s.id")
    assert 't."Day" IS DISTINCT FROM s."Day"' in merged[2]
    assert merged[3].startswith('WHEN NOT MATCHED THEN INSERT (id, "Day", at, amount, x) VALUES')

    nullable = target_table("sales", "s", TYPES, ["id", "Day"], null_keys=True)
    created = " ".join(str(CreateTable(nullable).compile(dialect=engine.dialect)).split())
    assert created.endswith('amount NUMERIC(18, 2), x DOUBLE, UNIQUE (id, "Day") )')
    assert "NOT NULL" not in created
    on = Key(["id", "Day"], nulls=["Day"]).met(connection, nullable, "t", "s")
    assert on == (
        't.id = s.id AND (t."Day" IS NULL) = (s."Day" IS NULL) '
        "AND coalesce(t.\"Day\", date '1970-01-01') = coalesce(s.\"Day\", date '1970-01-01')"
    )
