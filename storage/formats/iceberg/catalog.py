"""JDBC catalogs that Spark and pyiceberg share, and the one in SQLite."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from sqlalchemy.exc import SQLAlchemyError

from storage.errors import TableNotFoundError
from storage.failures import NATIVE, explain, translate
from storage.types import TableRef

CATALOG = "lakehouse"
"""Name of the catalog; it is a column of the catalog's tables, so every reader must use this one."""


class IcebergCatalog(ABC):
    """A JDBC catalog and its warehouse.

    Attributes:
        root: Folder of the warehouse.
    """

    root: Path

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether the catalog's tables are there; looking needs no write permission."""

    @abstractmethod
    def prepare(self) -> None:
        """Create the warehouse and the catalog's tables; two at once would disturb each other.

        Raises:
            StorageDeniedError: This process may not write in the lake.
            StorageFullError: The disk has no room left.
        """

    @property
    @abstractmethod
    def pyiceberg(self) -> SqlCatalog:
        """The catalog for reading metadata without Spark."""

    @abstractmethod
    def spark_settings(self) -> Mapping[str, str]:
        """Settings that make the catalog known to a Spark session."""

    def load(self, ref: TableRef) -> Table:
        """The table's current metadata.

        Raises:
            TableNotFoundError: No such table.
            TransientError: The catalog does not answer.
        """
        try:
            return self.pyiceberg.load_table((ref.database, ref.name))
        except NoSuchTableError:
            raise TableNotFoundError(
                f"{ref.label} does not exist in {self.root}",
                advice=f"Load it first: lakehouse run domain={ref.domain} format=iceberg",
            ) from None
        except (*NATIVE, SQLAlchemyError) as error:
            raise translate(ref, error) from error

    def _spark_settings(self, uri: str) -> dict[str, str]:
        prefix = f"spark.sql.catalog.{CATALOG}"
        return {
            prefix: "org.apache.iceberg.spark.SparkCatalog",
            f"{prefix}.type": "jdbc",
            f"{prefix}.uri": uri,
            f"{prefix}.jdbc.schema-version": "V1",
            f"{prefix}.warehouse": str(self.root),
            f"{prefix}.cache-enabled": "false",
        }


@dataclass(frozen=True)
class SqliteCatalog(IcebergCatalog):
    """An Iceberg catalog in `<root>/catalog.db`, with its warehouse beside it."""

    root: Path
    busy_timeout_ms: int

    @property
    def ready(self) -> bool:
        if not self.database.is_file():
            return False
        try:
            with closing(
                sqlite3.connect(f"{self.database.absolute().as_uri()}?mode=ro", uri=True)
            ) as reader:
                found = reader.execute(
                    "SELECT count(*) FROM sqlite_master WHERE name IN "
                    "('iceberg_tables', 'iceberg_namespace_properties')"
                )
                return bool(found.fetchone()[0] == 2)
        except sqlite3.Error:
            return False

    def prepare(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.database)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            self.pyiceberg.create_tables()
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            raise explain(f"catalog {self.database}", error) from error

    @property
    def database(self) -> Path:
        """File of the catalog."""
        return self.root / "catalog.db"

    @cached_property
    def pyiceberg(self) -> SqlCatalog:
        return SqlCatalog(
            CATALOG,
            uri=f"sqlite:///{self.database}",
            warehouse=str(self.root),
            init_catalog_tables="false",
        )

    def spark_settings(self) -> Mapping[str, str]:
        waits = f"journal_mode=WAL&busy_timeout={self.busy_timeout_ms}"
        return self._spark_settings(f"jdbc:sqlite:file:{self.database}?{waits}")
