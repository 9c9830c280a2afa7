"""A domain with a gold table of every type, which is merged into a PostgreSQL."""

from __future__ import annotations

import textwrap
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
from storage.secrets import reference
from storage.types import CommitRecord, TableRef, Version
from tasks import bronze, derived, silver, tables
from tasks.bench import Bench, RunInfo
from tasks.destinations.push import Pushed, push
from tasks.destinations.receipts import pending
from tasks.gate import check, is_derived
from tasks.publish import publish
from tasks.spec import (
    ColumnSpec,
    DestinationSpec,
    DomainSpec,
    GoldSpec,
    Push,
    Roots,
    SilverSpec,
    SourceSpec,
)
from tests.services.postgres import Postgres

PASSWORD = "SHOP_DESTINATION_PASSWORD"
GOLD = TableRef("shop", "gold", "sales")
HEADER = "id,region,amount,day,at,paid"
TYPES = {
    "id": "bigint", "region": "string", "amount": "decimal(18,2)", "day": "date", "at": "timestamp",
    "paid": "boolean",
}  # fmt: skip
CHECK = "checks for result:\n  - row_count >= 0:\n      name: rows are counted\n"
SQL = "select id, region, amount, day, at, paid, cast(amount as double) as share from silver.sales where paid"
Row = tuple[Any, ...]


def domain(folder: Path, server: Postgres) -> DomainSpec:
    """Sales, and those of them that are paid in gold: one that is no longer paid leaves it."""
    columns = {name: ColumnSpec(type=kind) for name, kind in TYPES.items()}
    made = DomainSpec(
        name="shop",
        roots=Roots(sql=str(folder / "sql"), checks=str(folder / "checks")),
        as_of="select max(day) from silver.sales",
        bronze={"sales": SourceSpec(pattern="sales*.csv", columns=list(TYPES))},
        silver={"sales": SilverSpec(source="bronze.sales", key=["id"], columns=columns)},
        gold={
            "sales": GoldSpec(
                key=["id"],
                inputs=["silver.sales"],
                sql="sales.sql",
                columns={**columns, "share": ColumnSpec(type="double")},
                groups={"silver.sales": "id"},
            )
        },
        destinations={
            "warehouse": DestinationSpec(
                url=server.url, password=reference(PASSWORD), tables=["gold.sales"]
            )
        },
    )
    (folder / "sql").mkdir()
    (folder / "sql" / "sales.sql").write_text(SQL)
    for ref in made.tables():
        file = folder / "checks" / ref.layer / f"{ref.name}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(CHECK)
    return made


@dataclass
class Shop:
    """The domain in a lake of its own, and its destination."""

    lake: Lake
    folder: Path
    session: SparkSession
    server: Postgres
    spec: DomainSpec = field(init=False)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.spec = domain(self.folder, self.server)
        (self.folder / "landing").mkdir()

    @property
    def wanted(self) -> Push:
        return self.spec.pushes()[0]

    @property
    def destination(self) -> DestinationSpec:
        return self.spec.destinations["warehouse"]

    @cached_property
    def store(self) -> TableStore:
        return self.lake.store(self.session)

    def bench(self, *, rebuild: bool = False) -> Bench:
        info = RunInfo(f"run-{next(self.numbers)}", datetime.now(UTC), "1.0", rebuild)
        staging = self.folder / "staging"
        return Bench(self.store, SodaScanner(), self.spec, self.folder / "landing", staging, info)

    def deliver(self, *records: str) -> None:
        """Take sales in, up to gold. A record is `id,region,amount,day,at,paid`."""
        text = textwrap.dedent("\n".join([HEADER, *records, ""]))
        (self.folder / "landing" / f"sales_{next(self.numbers):03}.csv").write_text(text)
        self.run()

    def run(self, *, rebuild: bool = False) -> None:
        """Bring the tables up to date."""
        for ref in self.spec.tables():
            if not (rebuild and ref.layer == "bronze"):
                self._step(self.bench(rebuild=rebuild), ref)

    def _step(self, bench: Bench, ref: TableRef) -> None:
        tables.create(bench, ref)
        if ref.layer == "bronze":
            staged = bronze.stage(bench, ref)
        else:
            staged = (derived if is_derived(bench, ref) else silver).stage(bench, ref)
        if staged is not None:
            publish(bench, staged, check(bench, staged))

    def push(self, *, rebuild: bool = False) -> Pushed:
        return push(self.bench(rebuild=rebuild), self.wanted)

    def pending(self) -> bool:
        return pending(self.bench(), self.wanted)

    def version(self) -> Version:
        return self.store.head(GOLD).version

    def roll_back(self, to: Version) -> None:
        self.store.rollback(GOLD, to, CommitRecord("undo", f"undo-{to}-{next(self.numbers)}"))

    def gold(self) -> list[Row]:
        """The rows of the gold table, instants without their time zone."""
        names = self.spec.gold["sales"].columns
        found = self.store.read(GOLD).select(*names).orderBy("id").collect()
        return [tuple(row) for row in found]

    def pushed(self) -> list[Row]:
        """The rows of the destination."""
        names = ", ".join(self.spec.gold["sales"].columns)
        with self.server.connect() as connection:
            return connection.execute(f"select {names} from sales order by id").fetchall()

    def written(self) -> dict[int, str]:
        """By id the transaction that wrote each row of the destination: it changes with the row."""
        with self.server.connect() as connection:
            return dict(connection.execute("select id, xmin::text from sales").fetchall())
