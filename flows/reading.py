"""Reading tables for a person: without Spark where that is safe, else with it, saying so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from sqlglot import exp, parse
from sqlglot.errors import ParseError, SqlglotError

from conf.formats import described
from conf.schema import Config
from flows.runtime import Runtime, new_run
from storage.base import TableStore
from storage.errors import ConfigurationError
from storage.types import TableRef
from tasks.domain.sql_text import DATABASES, trimmed

Say = Callable[[str], None]


@dataclass(frozen=True)
class Reader:
    """Reads the tables of one lake.

    Attributes:
        say: Told, in a line, when Spark has to be started and why.
    """

    config: Config
    say: Say

    @property
    def store(self) -> TableStore:
        """Metadata and direct reads."""
        return Runtime(self.config, new_run()).metadata_store()

    def ref(self, label: str) -> TableRef:
        """The table of `layer.table`.

        Raises:
            ConfigurationError: It is not in the lake; the message names those that are.
        """
        try:
            ref = TableRef.parse(self.config.domain.name, label)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        if ref.layer not in DATABASES or not self.store.exists(ref):
            there = ", ".join(t.label for t in self.tables()) or "none yet"
            raise ConfigurationError(
                f"there is no table {label} in this lake ({described(self.config.format)})",
                advice=f"Tables: {there}",
            )
        return ref

    def tables(self) -> list[TableRef]:
        """Every table of the domain that exists, layer by layer, and the operational ones."""
        found = []
        for layer in DATABASES:
            database = TableRef(self.config.domain.name, layer, "").database
            found += [
                TableRef(self.config.domain.name, layer, name)
                for name in self.store.tables(database)
            ]
        return found

    def table(self, ref: TableRef) -> pa.Table:
        """The table's current rows."""
        obstacle = self.store.obstacle(ref)
        if obstacle is None:
            return self.store.read_arrow(ref)
        self.say(f"{ref.label} has {obstacle}: read with Spark")
        return self._spark_store().read(ref).toArrow()

    def query(self, sql: str) -> pa.Table:
        """The result of a query over `layer.table` names, in DuckDB.

        Raises:
            ConfigurationError: The text is not a query, or names a table that does not exist.
        """
        sql = trimmed(sql, "duckdb")
        refs = [self.ref(label) for label in sorted(_tables_in(sql))]
        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'")
        for ref in refs:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {ref.layer}")
            connection.register(f"arrow_{ref.view}", self.table(ref))
            connection.execute(
                f'CREATE VIEW {ref.layer}."{ref.name}" AS SELECT * FROM "arrow_{ref.view}"'
            )
        try:
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise ConfigurationError(f"sql: {error}") from None

    def _spark_store(self) -> TableStore:
        return Runtime(self.config, new_run()).context().store


def _tables_in(sql: str) -> set[str]:
    try:
        statements = parse(sql, dialect="duckdb")
    except ParseError as error:
        first = error.errors[0] if error.errors else {"line": 1, "col": 0, "highlight": sql}
        raise ConfigurationError(
            f"sql: line {first['line']}, column {first['col']}: not readable near "
            f"{first['highlight']!r}"
        ) from None
    except SqlglotError as error:
        raise ConfigurationError(f"sql: {error}") from None
    parsed = statements[0] if len(statements) == 1 else None
    if not isinstance(parsed, exp.Query):
        raise ConfigurationError("sql: only a query is run here", advice="Write select ...")
    named = {cte.alias for cte in parsed.find_all(exp.CTE)}
    tables = [t for t in parsed.find_all(exp.Table) if isinstance(t.this, exp.Identifier)]
    bare = [t.name for t in tables if not t.db and t.name not in named]
    if bare:
        raise ConfigurationError(
            f"sql: {bare[0]!r} has no layer",
            advice=f"Write layer.table, for example gold.{bare[0]}",
        )
    return {f"{t.db}.{t.name}" for t in tables if t.db}
