"""A domain of five tables, run step by step as the flow does, without Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from checks.soda_scanner import SodaScanner
from storage.base import TableStore
from storage.registry import Lake
from tasks.context import Context, RunInfo
from tasks.domain.spec import (
    ColumnSpec,
    DomainSpec,
    GoldSpec,
    JoinSpec,
    Roots,
    SilverSpec,
    SourceSpec,
    VolumeSpec,
)
from tasks.run_table import has_news
from tests.property.driver import bring_up_to_date

CHECK = "checks for result:\n  - row_count >= 0:\n      name: rows are counted\n"
DAILY = "select day, count(*) as orders, sum(price) as revenue from silver.orders group by day"
Row = tuple[Any, ...]


def domain(folder: Path) -> DomainSpec:
    """Customers, orders that refer to them, and a day's orders."""
    roots = Roots(sql=str(folder / "sql"), checks=str(folder / "checks"))
    made = DomainSpec(
        name="shop",
        roots=roots,
        as_of="select max(day) from silver.orders",
        bronze={
            "customers": SourceSpec(pattern="customers*.csv", columns=["customer", "city"]),
            "orders": SourceSpec(
                pattern="orders*.csv", columns=["order_id", "customer", "price", "day"]
            ),
        },
        silver={
            "customers": SilverSpec(
                source="bronze.customers",
                key=["customer"],
                columns={"customer": ColumnSpec(required=True), "city": ColumnSpec()},
            ),
            "orders": SilverSpec(
                source="bronze.orders",
                key=["order_id"],
                columns={
                    "order_id": ColumnSpec(required=True),
                    "customer": ColumnSpec(),
                    "price": ColumnSpec(type="decimal(18,2)"),
                    "day": ColumnSpec(type="date"),
                },
                references={
                    "customer": JoinSpec(table="silver.customers", by={"customer": "customer"})
                },
            ),
        },
        gold={
            "daily": GoldSpec(
                key=["day"],
                inputs=["silver.orders"],
                sql="daily.sql",
                columns={
                    "day": ColumnSpec(type="date"),
                    "orders": ColumnSpec(type="bigint"),
                    "revenue": ColumnSpec(type="decimal(28,2)"),
                },
                volume=VolumeSpec(
                    input="select sum(price) from silver.orders", output="sum(revenue)"
                ),
            )
        },
    )
    Path(roots.sql).mkdir(parents=True)
    (Path(roots.sql) / "daily.sql").write_text(DAILY)
    for ref in made.tables():
        file = Path(roots.checks) / ref.layer / f"{ref.name}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(CHECK)
    return made


@dataclass
class Shop:
    """The domain in a lake of its own."""

    lake: Lake
    folder: Path
    session: SparkSession
    spec: DomainSpec = field(init=False)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.spec = domain(self.folder)
        self.landing.mkdir()

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @cached_property
    def store(self) -> TableStore:
        return self.lake.store(self.session)

    @cached_property
    def log(self) -> TableStore:
        """Metadata without Spark, as the plans of the command line see it."""
        return self.lake.store(None)

    def context(self, run_id: str | None = None) -> Context:
        """A context of a run, or without Spark."""
        info = RunInfo(run_id or "look", datetime.now(UTC), "1.0")
        store = self.store if run_id else self.log
        return Context(store, SodaScanner(), self.spec, self.landing, self.folder / "staging", info)

    def deliver(self, name: str, *records: str) -> Path:
        header = ",".join(self.spec.bronze[name.partition("_")[0]].columns)
        path = self.landing / f"{name}.csv"
        path.write_text("\n".join([header, *records]) + "\n")
        return path

    def news(self) -> list[str]:
        """Tables that a run would work on, each with its inputs as they are now."""
        return [ref.label for ref in self.spec.tables() if has_news(self.context(), ref)]

    def run(self, *layers: str) -> str:
        """Bring the tables up to date; the id of the run."""
        run_id = f"run-{next(self.numbers)}"
        for ref in self.spec.tables():
            if not layers or ref.layer in layers:
                bring_up_to_date(self.context(run_id), ref)
        return run_id

    def rows(self, label: str, *columns: str) -> list[Row]:
        found = self.store.read(self.spec.ref(label)).select(*columns).collect()
        return sorted((tuple(map(str, row)) for row in found), key=repr)

    def state(self) -> dict[str, list[Row]]:
        """What is in the tables, without numbers and instants that differ from run to run."""
        return {
            "bronze.customers": self.rows("bronze.customers", "customer", "_source_file"),
            "bronze.orders": self.rows("bronze.orders", "order_id", "price", "_source_file"),
            "silver.customers": self.rows("silver.customers", "customer", "city"),
            "silver.orders": self.rows("silver.orders", "order_id", "customer", "price", "day"),
            "kept out": self.rows("silver.orders__quarantine", "order_id", "_rule", "_source_file"),
            "gold.daily": self.rows("gold.daily", "day", "orders", "revenue"),
        }

    def heads(self) -> dict[str, str]:
        return {ref.label: str(self.log.head(ref).version) for ref in self.spec.tables()}

    def deliveries(self, label: str = "bronze.orders") -> list[int]:
        rows = self.store.read(self.spec.ref(label)).select("_delivery").distinct().collect()
        return sorted(row[0] for row in rows)
