"""After runs with known secrets, good ones and failures, everything that was left behind is searched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from tests.secrecy import sources
from tests.secrecy.domain import Place
from tests.secrecy.search import contents, found
from tests.services.hubspot import HubSpot
from tests.services.kafka import Broker
from tests.services.postgres import Postgres
from tests.services.s3 import S3

pytestmark = pytest.mark.slow

SIGNS = "+pass/w&rd= of the shop"
"""Signs that are written in several ways."""
WRITE, READ = "wr1te+key/w&rd= of the shop", "r3ad+key/w&rd= of the shop"
WRONG_KEY = "n0+key/w&rd= of the shop"


@dataclass(frozen=True)
class Servers:
    """What the runs connect to; each database has a user with a password of its own."""

    source: Postgres
    destination: Postgres
    catalog: Postgres
    kafka: Broker
    hubspot: HubSpot
    s3: S3

    @property
    def secrets(self) -> Mapping[str, str]:
        """Every secret of the runs, by its variable."""
        return {
            "SHOP_DB_PASSWORD": self.source.password,
            "SHOP_DESTINATION_PASSWORD": self.destination.password,
            "LAKEHOUSE_CATALOG_PASSWORD": self.catalog.password,
            "SHOP_WRONG": f"Wr0ng{SIGNS}",
            "SHOP_S3_SECRET": self.s3.secret,
            "SHOP_S3_WRONG": f"Wr0ng{SIGNS}"[::-1],
            "SHOP_KAFKA_PASSWORD": self.kafka.password,
            "SHOP_REST_TOKEN": self.hubspot.token,
            "SHOP_REST_KEY": f"Bearer {self.hubspot.token}",
            "SHOP_OAUTH_SECRET": self.hubspot.client_secret,
            "SHOP_OAUTH_REFRESH": self.hubspot.refresh_token,
            "LAKEHOUSE_API_WRITE_KEYS": WRITE,
            "LAKEHOUSE_API_READ_KEYS": READ,
        }

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.secrets, "SHOP_DB_URL": self.source.jdbc, "SHOP_DB_USER": self.source.user,
            "SHOP_S3_KEY": self.s3.key, "LAKEHOUSE_CATALOG_URL": self.catalog.jdbc,
            "LAKEHOUSE_CATALOG_USER": self.catalog.user,
        }  # fmt: skip


def database(postgres: Postgres, name: str) -> Postgres:
    """A database of a user whose password has signs that are written in several ways."""
    made, password = postgres.database(f"secrecy_{name}"), f"{name}{SIGNS}"
    postgres.run(
        f"DROP ROLE IF EXISTS shop_{name}",
        f"CREATE ROLE shop_{name} LOGIN PASSWORD '{password}'",
        f"ALTER DATABASE secrecy_{name} OWNER TO shop_{name}",
    )
    return replace(made, user=f"shop_{name}", password=password)


@pytest.fixture(scope="module")
def servers(postgres: Postgres, kafka: Broker, hubspot_process: HubSpot, s3: S3) -> Servers:
    """The servers, with something to deliver."""
    hubspot_process.reset()
    hubspot_process.objects.put("contacts", "1", email="a@example.com")
    source, destination, catalog = (
        database(postgres, name) for name in ("source", "destination", "catalog")
    )
    servers = Servers(source, destination, catalog, kafka, hubspot_process, s3)
    servers.source.run(
        "CREATE TABLE payments (payment_id bigint, order_id bigint, amount numeric(18,2))",
        "INSERT INTO payments VALUES (1, 7, 1.50), (2, 8, 2.50)",
    )
    kafka.topic("secrecy")
    kafka.put("secrecy", '{"id": 1}')
    s3.make_bucket("secrecy")
    s3.put("secrecy", "in/payments.csv", "payment_id,order_id,amount\n3,9,3.50\n")
    s3.put("secrecy", "in/empty.txt", "")
    return servers


@pytest.fixture(scope="module")
def place(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Where all commands ran, on both formats and on the shared catalog."""
    made = Place(tmp_path_factory.mktemp("secrecy"), servers.environment)
    bronze = {
        **sources.of_databases(servers.source), **sources.of_files(),
        **sources.of_kafka(servers.kafka, "secrecy"), **sources.of_api(servers.hubspot),
    }  # fmt: skip
    made.declare({"bronze": bronze, **sources.destinations(servers.destination)})
    landing = [
        "spark=small", "paths.landing=s3://secrecy/in",
        f"paths.landing_options.client_kwargs.endpoint_url={servers.s3.endpoint}",
        "paths.landing_options.key=${secret:SHOP_S3_KEY}",
    ]  # fmt: skip
    right = [*landing, "paths.landing_options.secret=${secret:SHOP_S3_SECRET}"]
    wrong = [*landing, "paths.landing_options.secret=${secret:SHOP_S3_WRONG}"]
    with made.recording():
        made.command("run", overrides=right)
        made.command("run", "--json", overrides=[*wrong, "tables=[bronze.files]"])
    for command in ("push", "config", "status", "doctor"):
        made.command(command, overrides=right)
    on_shared_catalog(made, right)
    return made


def on_shared_catalog(place: Place, right: list[str]) -> None:
    """A run with its Iceberg catalog in PostgreSQL, the API over it, and one that refuses or is away."""
    shared = [*right, "format=iceberg", "catalog=postgres"]
    good = (
        "[bronze.payments,silver.payments,gold.payments,bronze.contacts,bronze.events,bronze.files]"
    )
    place.command("run", "--json", overrides=[*shared, f"tables={good}"])
    local = [f"paths.landing={place.landing}", "format=iceberg", "catalog=postgres"]
    with place.serving(overrides=local) as client:
        for key in (READ, WRITE, WRONG_KEY):
            for path in ("tables", "tables/gold.payments/rows", "runs", "quality", f"tables/{key}"):
                answer = client.get(f"/api/v1/{path}", headers={"X-API-Key": key})
                place.printed.append(f"{path.partition(key)[0]} {answer.status_code}")
                place.printed.append(answer.text.replace(key, "") if key in path else answer.text)
    refused = [*shared, "catalog.password=${secret:SHOP_WRONG}"]
    away = [*shared, f"catalog.url=jdbc:postgresql://{sources.NOWHERE}/lake"]
    for overrides in (refused, away):
        for command in ("run", "status"):
            place.command(command, overrides=overrides)


def test_each_source_came_to_its_end(place: Place) -> None:
    report = json.loads((place.root / "lake/_reports/shop/delta/quality_report.json").read_text())
    assert report["status"] == "failed"
    printed = "".join(place.printed)
    for part in (
        "8 tables published", "bronze.payments", "bronze.wrong_password failed",
        "bronze.no_url failed", "password authentication failed", "bronze.unreachable failed",
        "bronze.bad_query failed", "bronze.blocked blocked", "access is refused",
        "${secret:SHOP_DB_PASSWORD}", "${secret:SHOP_S3_SECRET}",
        *(f"bronze.{name} failed" for name in (
            "events_wrong", "events_unreachable", "contacts_wrong", "contacts_unreachable",
            "keyed_wrong", "keyed_in_url", "keyed_unreachable", "oauth_wrong_secret",
            "oauth_wrong_refresh", "oauth_unreachable",
        )),
        "destination.wrong.payments failed", "destination.unreachable.payments failed",
        "catalog jdbc:postgresql://127.0.0.1:9/lake", "tables 200", "tables 401",
        "tables 403",
    ):  # fmt: skip
        assert part in printed, part


def test_no_secret_is_in_anything_that_was_left_behind(place: Place, servers: Servers) -> None:
    searched = {f"printed {n}": text.encode() for n, text in enumerate(place.printed)}
    searched |= dict(contents(place.root))
    for server in (servers.catalog, servers.destination):
        searched[f"rows of {server.name}"] = rows(server)
    known = {**servers.secrets, "a wrong key": WRONG_KEY}
    assert found(searched.items(), known) == []
    # what was not written cannot leak: each kind of place must have been searched
    kinds = {
        "prefect.db (dump)", "spark.log", "_delta_log", "metadata.json", ".avro (plain)", "/ops/",
        "attempt.json", "quality_report.json", ".parquet (rows)", "shop.yaml",
    }  # fmt: skip
    assert {kind for kind in kinds if any(kind in name for name in searched)} == kinds
    records = next(text for name, text in searched.items() if name.endswith("prefect.db (dump)"))
    assert b"password authentication failed" in records
    assert b"${secret:SHOP_S3_SECRET}" in records


def rows(server: Postgres) -> bytes:
    """Every row of a database's tables."""
    with server.connect() as connection:
        tables = connection.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
        ).fetchall()
        assert tables
        return b"\n".join(
            str(connection.execute(f'select * from "{name}"'.encode()).fetchall()).encode()
            for (name,) in tables
        )
