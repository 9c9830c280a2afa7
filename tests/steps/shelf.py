"""A small domain made in a test: silver tables, each fed from a source; checks that always hold."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from storage.base import TableStore
from storage.registry import Lake
from tasks.context import Attempt, Context, GateReport
from tasks.domain.spec import DomainSpec, GoldSpec, Roots, SilverSpec, SourceSpec, expanded
from tasks.run_table import check, publish
from tests.property.driver import contexts, rows_of, stage

CHECK = "checks for staged:\n  - row_count >= 0:\n      name: rows are counted\n"
SOURCE = "item"


@dataclass
class Shelf:
    """A lake with the table `silver.item`, fed from files `item*.csv`.

    Attributes:
        beside: Further silver tables, each fed with its columns from files that start with its name.
    """

    spark: SparkSession
    lake: Lake
    root: Path
    columns: list[str]
    spec: SilverSpec
    gold: dict[str, GoldSpec] = field(default_factory=dict)
    beside: dict[str, SilverSpec] = field(default_factory=dict)
    runs: int = 0

    def __post_init__(self) -> None:
        silver = {**self.beside, SOURCE: self.spec}
        for name, spec in silver.items():
            spec.source = f"bronze.{name}"
        self.domain = expanded(
            DomainSpec(
                name="shelf",
                roots=Roots(str(self.root / "sql"), str(self.root / "checks")),
                as_of="select max(day) from silver.none",
                bronze={name: SourceSpec(f"{name}*.csv", self.header(name)) for name in silver},
                silver=silver,
                gold=self.gold,
            )
        )
        for ref in self.domain.tables():
            path = self.root / "checks" / ref.layer / f"{ref.name}.yml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(CHECK)

    @property
    def store(self) -> TableStore:
        return self.lake.store(self.spark)

    def header(self, source: str) -> list[str]:
        """The columns of a source."""
        return self.columns if source == SOURCE else list(self.beside[source].columns)

    def deliver(self, name: str, *rows: Sequence[Any], source: str = SOURCE) -> None:
        """Put a file into the landing folder."""
        path = self.root / "landing" / f"{source}_{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.header(source), *rows])

    def context(self, *, rebuild: bool = False) -> Callable[[], Context]:
        """Contexts of the next run."""
        self.runs += 1
        return contexts(
            self.spark, self.lake, self.domain, self.root / "landing",
            number=self.runs, rebuild=rebuild,
        )  # fmt: skip

    def run(self, *, rebuild: bool = False) -> dict[str, tuple[Attempt, GateReport]]:
        """Bring the tables up to date; what was staged and judged of each, by label."""
        make, found = self.context(rebuild=rebuild), {}
        for ref in self.domain.tables():
            context = make()
            attempt = stage(context, ref)
            if attempt is None or (rebuild and ref.layer == "bronze"):
                continue
            gate = check(context, attempt)
            found[ref.label] = (attempt, gate)
            if gate.verdict.blocked:
                break
            publish(context, attempt, gate)
        return found

    def rows(self, *columns: str, label: str = f"silver.{SOURCE}") -> list[tuple[Any, ...]]:
        """Some columns of a table, sorted."""
        found = rows_of(self.store, self.domain.ref(label))
        return sorted((tuple(row[c] for c in columns) for row in found), key=repr)
