"""A gold table with a column of every type, written as a publication does, and its destination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from checks.soda_scanner import SodaScanner
from storage.base import TableStore
from storage.plans import GONE, difference_plan
from storage.registry import Lake
from storage.secrets import reference
from storage.types import CommitRecord, TableRef, Version
from tasks.context import Context, RunInfo
from tasks.destinations.push import Pushed, push
from tasks.destinations.receipts import pending
from tasks.domain.schemas import business_columns, derived_schema
from tasks.domain.spec import ColumnSpec, DestinationSpec, DomainSpec, GoldSpec, Push, Roots
from tests.services.postgres import Postgres
from tests.services.snowflake import Snowflake

PASSWORD = "SHOP_DESTINATION_PASSWORD"
SALES = TableRef("shop", "gold", "sales")
TYPES = {
    "id": "bigint", "region": "string", "amount": "decimal(18,2)", "day": "date", "moment": "timestamp",
    "paid": "boolean", "share": "double", "pieces": "int",
}  # fmt: skip
Row = tuple[Any, ...]


def domain(server: Postgres | Snowflake) -> DomainSpec:
    """One gold table, which goes to the server."""
    columns = {name: ColumnSpec(type=kind) for name, kind in TYPES.items()}
    options = dict(server.options) if isinstance(server, Snowflake) else {}
    return DomainSpec(
        name="shop",
        roots=Roots(sql="", checks=""),
        as_of="select 1",
        gold={"sales": GoldSpec(key=["id"], sql="sales.sql", columns=columns)},
        destinations={
            "warehouse": DestinationSpec(
                url=server.url,
                password=reference(PASSWORD),
                options=options,
                tables=["gold.sales"],
            )
        },
    )


@dataclass
class Shop:
    """The table in a lake of its own, and its destination."""

    lake: Lake
    folder: Path
    spark: SparkSession
    server: Any
    run_id: str = "run"
    spec: DomainSpec = field(init=False)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.spec = domain(self.server)
        self.store.create(SALES, derived_schema(self.spec, SALES))

    @cached_property
    def store(self) -> TableStore:
        return self.lake.store(self.spark)

    def context(self, *, rebuild: bool = False) -> Context:
        info = RunInfo(f"run-{next(self.numbers)}", datetime.now(UTC), "1.0", rebuild)
        staging = self.folder / "staging"
        return Context(self.store, SodaScanner(), self.spec, self.folder, staging, info)

    def publish(self, *rows: Row, gone: Sequence[int] = ()) -> None:
        """Merge rows into the gold table and take keys out of it, in one commit."""
        columns = [name for name, _ in business_columns(self.spec, SALES)]
        token = f"commit-{next(self.numbers)}"
        made = [(*row, token, False) for row in rows]
        made += [(id, *[None] * (len(columns) - 1), token, True) for id in gone]
        schema = derived_schema(self.spec, SALES)
        kept = [f for f in schema.fields if f.name in columns]
        types = ", ".join(f"`{f.name}` {f.dataType.simpleString()}" for f in kept)
        attempt = self.store.session.createDataFrame(
            made, f"{types}, _merge_id string, {GONE} boolean"
        )
        attempt = attempt.selectExpr(
            "*", "'batch' as _batch_id", "current_timestamp() as _updated_at"
        )
        plan = difference_plan(self.spec.gold["sales"].key, schema.names)
        record = CommitRecord(
            self.run_id, token, rows={"published": len(rows), "removed": len(gone)}
        )
        self.store.merge(SALES, attempt, plan, record)

    def replace(self, *rows: Row) -> None:
        """Write the whole table again, as a rebuild does."""
        token = f"commit-{next(self.numbers)}"
        schema = derived_schema(self.spec, SALES)
        at = datetime.now(UTC)
        made = self.store.session.createDataFrame(
            [(*row, "batch", token, at) for row in rows], schema
        )
        record = CommitRecord(self.run_id, token, notes={"replace": True})
        self.store.replace(SALES, made, record)

    def checkpoint(self) -> None:
        """A commit that changes no row."""
        token = f"commit-{next(self.numbers)}"
        self.store.checkpoint(SALES, CommitRecord(self.run_id, token, notes={"mark": True}))

    def roll_back(self, to: Version) -> None:
        record = self.store.head(SALES).record
        assert record is not None
        token = f"undo-{next(self.numbers)}"
        self.store.rollback(SALES, to, CommitRecord("undo", token, inputs=record.inputs))

    def push(self, *, rebuild: bool = False) -> Pushed:
        context = self.context(rebuild=rebuild)
        return push(context, self.wanted, lambda: context)

    @property
    def wanted(self) -> Push:
        return self.spec.pushes()[0]

    def pending(self) -> bool:
        return pending(self.context(), self.wanted)

    def version(self) -> Version:
        return self.store.head(SALES).version

    def gold(self) -> list[Row]:
        """The rows of the gold table."""
        names = [name for name, _ in business_columns(self.spec, SALES)]
        rows = self.store.read(SALES).select(*names).orderBy("id")
        return [tuple(row) for row in rows.selectExpr(*_wall_clock(names)).collect()]

    def pushed(self) -> list[Row]:
        """The rows of the destination."""
        names = ", ".join(name for name, _ in business_columns(self.spec, SALES))
        with self.server.connect() as connection:
            rows: list[Row] = connection.execute(
                f"select {names} from sales order by id"
            ).fetchall()
        return rows

    def ids(self) -> list[int]:
        return [row[0] for row in self.pushed()]

    def written(self) -> dict[int, str]:
        """By id the transaction that wrote each row of the destination: it changes with the row."""
        with self.server.connect() as connection:
            return dict(connection.execute("select id, xmin::text from sales").fetchall())


def _wall_clock(names: Sequence[str]) -> list[str]:
    return [f"cast({n} as timestamp_ntz) as {n}" if n == "moment" else n for n in names]
