"""The check files of a domain against rows: one good row a table, and defects that a check has to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from checks.model import CheckResult, CheckSuite, Outcome
from checks.soda_scanner import SodaScanner
from conf.load import load_config
from storage.sql import quote
from tasks.context import live
from tasks.domain.schemas import DELETED, declared
from tasks.domain.spec import EVENTS, DomainSpec

Row = Mapping[str, str]
"""Column to Spark SQL; columns left out are null."""
Defect = tuple[str, list[Row], list[str]]
"""A table, how each of its rows differs from the good one, and the names of the checks that find it: `warn: `
before the name of one that stops nothing."""
BRONZE: Row = {
    "_source_file": "'a.csv'", "_batch_id": "'b1'", "_record_hash": "'h1'", "_quality_flag": "'ok'",
    "_record_number": "1",
}  # fmt: skip
"""A good row of any bronze table."""
WARN = "warn: "


@dataclass(frozen=True)
class Suites:
    """The check files of a domain.

    Attributes:
        name: The domain.
        as_of: The instant that freshness is measured against.
        good: A row of each silver and gold table that every check accepts, with the same rows in the views
            of the other tables.
        defects: What a check has to find.
        without_rows: Names of checks that warn where a table and those that it reads are empty.
        beside: Rows that a table has besides, unless it is empty.
    """

    name: str
    as_of: str
    good: Mapping[str, Row]
    defects: Sequence[Defect]
    without_rows: Mapping[str, list[str]] = field(default_factory=dict)
    beside: Mapping[str, Row] = field(default_factory=dict)

    @cached_property
    def spec(self) -> DomainSpec:
        """The domain as configured."""
        return load_config([f"domain={self.name}", "paths.landing=/in", "paths.lake=/l"]).domain

    @cached_property
    def root(self) -> Path:
        """The folder of the check files."""
        return Path(self.spec.roots.checks)

    @property
    def rows(self) -> dict[str, Row]:
        """The good row of every table."""
        return {**{f"bronze.{name}": BRONZE for name in self.spec.bronze}, **self.good}

    @property
    def checked(self) -> set[str]:
        """The tables that need checks: events of a history have those of the history."""
        return {ref.label for ref in self.spec.tables() if not ref.name.endswith(EVENTS)}

    def frame(self, session: SparkSession, table: str, rows: Sequence[Row]) -> DataFrame:
        """Rows of a table as its checks see them."""
        ref = self.spec.ref(table)
        if rows and table in self.beside:
            rows = [*rows, self.beside[table]]
        types = {f.name: f.dataType.simpleString() for f in declared(self.spec, ref).fields}
        for row in rows:
            assert row.keys() <= types.keys(), f"{table} has no {row.keys() - types.keys()}"
        given = [{DELETED: "false", **row} for row in rows or [{}]]
        values = ", ".join(f"({', '.join(r.get(name, 'NULL') for name in types)})" for r in given)
        names = ", ".join(map(quote, types))
        casts = ", ".join(f"CAST({quote(n)} AS {kind}) AS {quote(n)}" for n, kind in types.items())
        found = session.sql(f"SELECT {casts} FROM VALUES {values} AS given({names})")
        return live(self.spec, ref, found if rows else found.where("false"))

    def scan(
        self, session: SparkSession, table: str, rows: Sequence[Row], *, others: bool = True
    ) -> Sequence[CheckResult]:
        """The results of a table's checks over these rows, as staged and as the table.

        Args:
            session: Views are made in it.
            table: `layer.table`.
            rows: Rows of the table.
            others: Whether the tables that the checks look at have their good row, or none.
        """
        suite = self.root / f"{table.replace('.', '/')}.yml"
        text = suite.read_text("utf-8")
        for other, row in self.rows.items():
            view = other.replace(".", "_")
            if view in text:
                self.frame(session, other, [row] if others else []).createOrReplaceTempView(view)
        for view in ("staged", "result"):
            self.frame(session, table, rows).createOrReplaceTempView(view)
        variables = {"as_of": self.as_of, "expected_rows": "1"}
        return SodaScanner().scan(session, CheckSuite.load(self.root, *table.split(".")), variables)


def not_passed(results: Sequence[CheckResult]) -> list[str]:
    """Names of the checks that did not pass, as in a `Defect`; another outcome than those stands as it is."""
    said = {Outcome.FAIL: "", Outcome.WARN: WARN}
    return sorted(
        said.get(result.outcome, f"{result.outcome}: ") + result.name
        for result in results
        if result.outcome is not Outcome.PASS
    )
