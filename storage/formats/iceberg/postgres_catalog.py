"""An Iceberg catalog in a PostgreSQL, for a lake that several machines share."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
from pyiceberg.catalog.sql import SqlCatalog
from sqlalchemy.exc import SQLAlchemyError

from storage.formats.iceberg.catalog import CATALOG, IcebergCatalog
from storage.postgres import PostgresAddress
from storage.secrets import reveal

IDLE = "-c%20idle_session_timeout%3D60s"
"""Each Spark session has a connection of its own to the catalog: the server ends those that are left."""
ENDED = "57P01,57P05"
"""SQLSTATEs after which Iceberg connects again: a server that was restarted, a session that was idle."""


@dataclass(frozen=True)
class PostgresCatalog(IcebergCatalog):
    """The catalog's tables in a database, the warehouse in a folder that every machine sees.

    A commit is one UPDATE that names the metadata it replaces, so of two writers one is refused.
    """

    root: Path
    address: PostgresAddress

    @property
    def ready(self) -> bool:
        try:
            with self.address.connect() as connection:
                found = connection.execute(
                    "SELECT count(*) FROM information_schema.tables WHERE table_schema = "
                    "ANY(current_schemas(false)) AND table_name IN "
                    "('iceberg_tables', 'iceberg_namespace_properties')"
                ).fetchone()
        except psycopg.Error as error:
            raise self.address.explained(error) from None
        return found == (2,)

    def prepare(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.pyiceberg.create_tables()
        except (OSError, psycopg.Error, SQLAlchemyError) as error:
            raise self.address.explained(error) from error

    @property
    def pyiceberg(self) -> SqlCatalog:
        uri = self.address.sqlalchemy.render_as_string(hide_password=False)
        return _catalog(uri, str(self.root))

    def spark_settings(self) -> Mapping[str, str]:
        prefix = f"spark.sql.catalog.{CATALOG}"
        joint = "&" if "?" in self.address.url else "?"
        ours = f"tcpKeepAlive=true&options={IDLE}"
        return self._spark_settings(f"{self.address.url}{joint}{ours}") | {
            f"{prefix}.jdbc.user": reveal(self.address.user),
            f"{prefix}.jdbc.password": reveal(self.address.password),
            f"{prefix}.clients": "1",
            f"{prefix}.retryable_status_codes": ENDED,
        }


@cache
def _catalog(uri: str, warehouse: str) -> SqlCatalog:
    """One catalog a process: its connections are pooled, and a store more costs none."""
    made = SqlCatalog(
        CATALOG, uri=uri, warehouse=warehouse, init_catalog_tables="false", pool_pre_ping="true"
    )
    atexit.register(made.close)
    return made
