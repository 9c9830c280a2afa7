"""A small domain whose orders meet each kind of rule, driven step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from storage.base import TableStore
from storage.registry import Lake
from storage.types import TableRef
from tasks.context import Attempt
from tasks.domain.schemas import quarantine_of, released_of
from tasks.domain.spec import (
    ColumnSpec,
    DomainSpec,
    JoinSpec,
    QuarantineLimit,
    Roots,
    RuleSpec,
    SilverSpec,
    SourceSpec,
    Strategy,
    expanded,
)
from tasks.records import accounting, releases
from tasks.records.releases import Action
from tests.property.driver import contexts, rows_of, run_batch

CHECKS = "checks for staged:\n  - row_count >= 0:\n      name: rows are readable\n"
CUSTOMERS, ORDERS = ("customer",), ("order", "customer", "placed", "amount")
DAY = "2024-03-0{} 00:00:00"


def order(number: str, day: int, amount: object, customer: str = "c1") -> tuple[str, ...]:
    """A record of the orders."""
    return (number, customer, DAY.format(day), str(amount))


def shop_domain(folder: Path, strategy: Strategy = Strategy.upsert) -> DomainSpec:
    """Customers, and orders of known customers; a credit limit is kept outside of the rows.

    With `append` the first delivery of an order wins.
    """
    first_wins = strategy is Strategy.append
    limit = QuarantineLimit(share=1.0)
    orders = SilverSpec(
        source="bronze.orders",
        strategy=strategy,
        key=["order"],
        sequence_by=[] if first_wins else ["placed"],
        first_wins=first_wins,
        columns={
            "order": ColumnSpec(),
            "customer": ColumnSpec(),
            "placed": ColumnSpec(type="timestamp"),
            "amount": ColumnSpec(type="int", required=True),
        },
        rules={
            "negative": RuleSpec("amount < 0", "amount", "is negative"),
            "over_limit": RuleSpec(
                "amount > (select max(amount) from global_temp.credit)", "amount", "is too much"
            ),
        },
        references={"customers": JoinSpec("silver.customers", {"customer": "customer"})},
        track=["customer", "amount"] if strategy is Strategy.scd2 else [],
        quarantine=limit,
    )
    customers = SilverSpec(
        source="bronze.customers", key=["customer"], columns={"customer": ColumnSpec()}
    )
    instant = "valid_from" if strategy is Strategy.scd2 else "placed"
    domain = DomainSpec(
        name="shop",
        roots=Roots(sql=str(folder), checks=str(folder / "checks")),
        as_of=f"select max({instant}) from silver.orders",
        bronze={
            "customers": SourceSpec("customers*.csv", list(CUSTOMERS)),
            "orders": SourceSpec("orders*.csv", list(ORDERS)),
        },
        silver={"customers": customers, "orders": orders},
    )
    for ref in domain.tables():
        file = folder / "checks" / ref.layer / f"{ref.name}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(CHECKS)
    return expanded(domain)


@dataclass
class Shop:
    """A lake of the domain and its landing folder."""

    spark: SparkSession
    lake: Lake
    folder: Path
    strategy: Strategy = Strategy.upsert
    runs: int = 0
    domain: DomainSpec = field(init=False)

    def __post_init__(self) -> None:
        self.domain = shop_domain(self.folder, self.strategy)
        self.allow(100)
        self.deliver("customers_1", CUSTOMERS, ("c1",))

    @property
    def store(self) -> TableStore:
        return self.lake.store(self.spark)

    @property
    def fed(self) -> TableRef:
        """The table that the orders are judged for."""
        history = self.strategy is Strategy.scd2
        return self.domain.ref("silver.orders__events" if history else "silver.orders")

    def allow(self, amount: int) -> None:
        """Set the credit limit, which the rule `over_limit` looks at."""
        self.spark.sql(f"select {amount} as amount").createOrReplaceGlobalTempView("credit")

    def deliver(self, name: str, header: Sequence[str], *records: Sequence[str]) -> None:
        landing = self.folder / "landing"
        landing.mkdir(exist_ok=True)
        text = "\n".join(",".join(record) for record in (header, *records))
        (landing / f"{name}.csv").write_text(text + "\n")

    def run(self, *, rebuild: bool = False) -> dict[str, Attempt | None]:
        self.runs += 1
        make = contexts(
            self.spark, self.lake, self.domain, self.folder / "landing",
            number=self.runs, rebuild=rebuild,
        )  # fmt: skip
        return run_batch(make, self.domain)

    def held(self) -> dict[tuple[str, str], str]:
        """Rule of each row in quarantine, by order and amount."""
        rows = rows_of(self.store, quarantine_of(self.fed))
        return {(r["order"], r["amount"]): r["_rule"] for r in rows}

    def left(self) -> list[tuple[str, str, str | None]]:
        """File and record, rule and way of each stay that has ended."""
        ref = released_of(self.fed)
        rows = rows_of(self.store, ref) if self.store.exists(ref) else []
        return sorted(
            (f"{r['_source_file']}:{r['_record_number']}", r["_rule"], r["_released_as"])
            for r in rows
        )

    def orders(self) -> dict[str, int]:
        """Amount of each order."""
        rows = rows_of(self.store, self.domain.ref("silver.orders"))
        return {r["order"]: r["amount"] for r in rows}

    def ask(
        self,
        choose: Callable[[dict[str, Any]], bool] = lambda row: True,
        action: Action = Action.judge,
    ) -> releases.Request:
        """Record a request for rows in quarantine."""
        rows = [r for r in rows_of(self.store, quarantine_of(self.fed)) if choose(r)]
        rules = {r["_sequence"]: r["_rule"] for r in rows}
        return releases.request(
            self.store, self.fed, rules, action=action, chosen_by="", reason="looked at", by="ann"
        )

    def balance(self) -> accounting.Balance:
        held, source = quarantine_of(self.fed), self.domain.ref("bronze.orders")
        return accounting.balance(self.store, self.fed, held, source)
