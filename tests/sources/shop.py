"""A small domain on one lake, whose tables go through stage, check and publish as in a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from checks.soda_scanner import SodaScanner
from storage.registry import Lake
from storage.types import CommitRecord, TableRef
from tasks.context import Attempt, Context, GateReport, RunInfo
from tasks.domain.spec import ColumnSpec, DomainSpec, Roots, SilverSpec, SourceSpec
from tasks.ingest import bronze
from tasks.landing.folders import Landing
from tasks.records import decisions
from tasks.records.decisions import Decision
from tasks.run_table import check, publish
from tests.property.driver import stage

CHECKS = {
    "bronze": """
checks for staged:
  - row_count = ${expected_rows}:
      name: files are complete
  - invalid_count(id) = 0:
      name: ids are not bad
      invalid values: [bad]
""",
    "silver": """
checks for result:
  - missing_count(id) = 0:
      name: id is given
""",
}


@dataclass
class Shop:
    """The domain `shop` with one source, `sale`, and the silver table that is fed from it."""

    root: Path
    lake: Lake
    spark: SparkSession
    source: SourceSpec
    runs: int = field(default=0)
    landing: Landing | None = None
    """Where deliveries arrive, where it is not the folder `landing` of the root."""
    typed: Mapping[str, ColumnSpec] = field(default_factory=dict)
    """Columns of silver beside the source's own, or in their place."""

    def __post_init__(self) -> None:
        for layer, text in CHECKS.items():
            folder = self.root / "checks" / layer
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "sale.yml").write_text(text)
        (self.root / "landing").mkdir(exist_ok=True)

    @property
    def domain(self) -> DomainSpec:
        columns = {c: ColumnSpec() for c in self.source.columns if not c.startswith("__")}
        columns |= self.typed
        return DomainSpec(
            name="shop",
            roots=Roots(str(self.root), str(self.root / "checks")),
            as_of="select max(id) from silver.none",
            bronze={"sale": self.source},
            silver={"sale": SilverSpec(source="bronze.sale", key=["id"], columns=columns)},
        )

    def context(self, *, spark: bool = True) -> Context:
        """A context of a run of its own."""
        self.runs += 1
        run = RunInfo(f"run{self.runs}", datetime(2026, 3, 1, tzinfo=UTC), "test")
        return Context(
            store=self.lake.store(self.spark if spark else None),
            scanner=SodaScanner(),
            domain=self.domain,
            landing=self.landing or self.root / "landing",
            staging=self.root / "staging",
            run=run,
        )

    def stage(self, label: str = "bronze.sale") -> Attempt | None:
        context = self.context()
        return stage(context, context.domain.ref(label))

    def check(self, attempt: Attempt) -> GateReport:
        return check(self.context(), attempt)

    def publish(self, attempt: Attempt, report: GateReport) -> None:
        publish(self.context(), attempt, report)

    def run(self, label: str = "bronze.sale") -> Attempt | None:
        """Stage, check and publish; None where nothing was new."""
        attempt = self.stage(label)
        if attempt is not None:
            report = self.check(attempt)
            assert not report.verdict.blocked, report.verdict.reasons
            self.publish(attempt, report)
        return attempt

    def resolve(self, batch_id: str, decision: Decision) -> None:
        context = self.context(spark=False)
        assert batch_id in bronze.batch_ids(context, context.domain.ref("bronze.sale"))
        decisions.resolve(
            context.store, "shop", batch_id=batch_id, table_name="bronze.sale",
            decision=decision, reason="test", by="test",
        )  # fmt: skip

    def write(self, name: str, *lines: str) -> None:
        (self.root / "landing" / name).write_text("".join(f"{line}\n" for line in lines))

    def rows(self, label: str = "bronze.sale", *columns: str) -> list[tuple[Any, ...]]:
        """The rows of a table in the order of their sequence."""
        store = self.context().store
        rows = store.read(TableRef.parse("shop", label)).orderBy("_sequence")
        return [tuple(row) for row in rows.select(*(columns or self.source.columns)).collect()]

    def record(self) -> CommitRecord:
        """The record of bronze's newest commit."""
        found = self.context(spark=False).store.head(TableRef.parse("shop", "bronze.sale")).record
        assert found is not None
        return found

    def commits(self) -> int:
        return len(self.context(spark=False).store.history(TableRef.parse("shop", "bronze.sale")))

    def with_source(self, **changes: Any) -> Shop:
        return Shop(self.root, self.lake, self.spark, replace(self.source, **changes), self.runs)


@dataclass(frozen=True)
class Database:
    """A SQLite database with the table `sale`."""

    path: Path

    @property
    def url(self) -> str:
        return f"jdbc:sqlite:{self.path}"

    def execute(self, sql: str, *parameters: Sequence[Any]) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            if parameters:
                connection.executemany(sql, parameters)
            else:
                connection.execute(sql)

    def put(self, *rows: tuple[Any, ...]) -> None:
        """Insert or replace rows (id, amount, at)."""
        self.execute("insert or replace into sale values (?, ?, ?)", *rows)
