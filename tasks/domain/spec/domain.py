"""A whole domain, and the order of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter

from storage.types import TableRef
from tasks.domain.spec.api import EndpointSpec
from tasks.domain.spec.destinations import DestinationSpec, Push
from tasks.domain.spec.limits import MUST_GIVE, VolumeLimits
from tasks.domain.spec.sources import SourceSpec
from tasks.domain.spec.tables import GoldSpec, SilverSpec, Strategy, TableSpec

EVENTS = "__events"
"""Ending of the name of the table that holds the events of a history."""


@dataclass
class Roots:
    """Folders that a domain's SQL files and checks are found in."""

    sql: str = MUST_GIVE
    """Folder of the SQL files."""
    checks: str = MUST_GIVE
    """Folder of the checks, `<layer>/<table>.yml`."""


@dataclass
class DomainSpec:
    """A whole domain."""

    name: str = MUST_GIVE
    """Name of the file; part of the names of the databases."""
    description: str = ""
    """What the domain is about."""
    owner: str = ""
    """Who answers for its tables."""
    roots: Roots = field(default_factory=Roots)
    """Where its SQL files and checks are."""
    generator: str | None = None
    """Module with `generate(to, *, rows, seed, defects, ...)` for data to try the domain with."""
    as_of: str = MUST_GIVE
    """SQL for the newest business date; freshness is measured against it, never the clock."""
    score_threshold: float = 0.0
    """Data-quality score, 0 to 1, below which a gate blocks."""
    anomalies: VolumeLimits = field(default_factory=VolumeLimits)
    """Control limits of row counts, for tables without their own."""
    bronze: dict[str, SourceSpec] = field(default_factory=dict)
    """Sources, by bronze table."""
    silver: dict[str, SilverSpec] = field(default_factory=dict)
    """Silver tables by name."""
    gold: dict[str, GoldSpec] = field(default_factory=dict)
    """Gold tables by name."""
    endpoints: dict[str, EndpointSpec] = field(default_factory=dict)
    """Tables that the REST API shows under a name of their own."""
    destinations: dict[str, DestinationSpec] = field(default_factory=dict)
    """Databases that gold tables are merged into, by name."""

    def ref(self, label: str) -> TableRef:
        """The table reference of `layer.table`."""
        return TableRef.parse(self.name, label)

    def find(self, ref: TableRef) -> TableSpec | None:
        """What is declared of a table; None where it is none of the domain's."""
        layers: dict[str, Mapping[str, TableSpec]] = {
            "bronze": self.bronze, "silver": self.silver, "gold": self.gold,
        }  # fmt: skip
        return layers.get(ref.layer, {}).get(ref.name)

    def spec(self, ref: TableRef) -> TableSpec:
        """What is declared of a table of the domain.

        Raises:
            KeyError: It is none of the domain's.
        """
        found = self.find(ref)
        if found is None:
            raise KeyError(ref.label)
        return found

    def volume_limits(self, table: TableRef) -> VolumeLimits:
        """Control limits of a table's row counts: its own, else the domain's."""
        return self.spec(table).anomalies or self.anomalies

    def tables(self) -> list[TableRef]:
        """Every table, each after those it reads."""
        return [self.ref(label) for label in ordered(dependencies(self))]

    def merged(self) -> list[TableRef]:
        """The silver tables that are fed row by row."""
        return [self.ref(f"silver.{n}") for n, spec in self.silver.items() if not spec.is_derived]

    def computed(self) -> list[TableRef]:
        """The tables that are computed from others, each after those it reads."""
        return [ref for ref in self.tables() if not self.spec(ref).is_delivered]

    def pushes(self) -> list[Push]:
        """Every gold table of every destination that has a URL."""
        return [
            Push(name, self.ref(label))
            for name, destination in self.destinations.items()
            if destination.url
            for label in destination.tables
        ]


def expanded(domain: DomainSpec) -> DomainSpec:
    """The domain with a table of events before each history that is fed row by row.

    `silver.accounts` from `bronze.accounts` becomes `silver.accounts__events`, which holds every distinct
    event and has the rules and the quarantine, and `silver.accounts`, computed from the events of its keys.
    """
    silver: dict[str, SilverSpec] = {}
    for name, table in domain.silver.items():
        if not (table.is_derived and table.source):
            silver[name] = table
            continue
        events = f"silver.{name}{EVENTS}"
        silver[f"{name}{EVENTS}"] = replace(
            table,
            strategy=Strategy.events,
            description=f"Every distinct change event of silver.{name}",
            ignore_null_updates=False,
            track=[],
        )
        kept = [*table.key, *table.track]
        silver[name] = replace(
            table,
            source=None,
            inputs=[events],
            groups={events: ", ".join(f"`{k}`" for k in table.key)},
            columns={n: c for n, c in table.columns.items() if n in kept or not table.is_history},
            rules={},
            references={},
            partition=None,
        )
    return replace(domain, silver=silver)


def dependencies(domain: DomainSpec) -> dict[str, tuple[str, ...]]:
    """The tables that each table reads, by `layer.table`."""
    graph: dict[str, tuple[str, ...]] = {f"bronze.{name}": () for name in domain.bronze}
    for name, silver in domain.silver.items():
        joined = [j.table for j in (*silver.references.values(), *silver.lookups.values())]
        source = [silver.source] if silver.source else []
        graph[f"silver.{name}"] = tuple(dict.fromkeys([*source, *joined, *silver.inputs]))
    for name, gold in domain.gold.items():
        graph[f"gold.{name}"] = tuple(gold.inputs)
    return graph


def ordered(graph: dict[str, tuple[str, ...]]) -> list[str]:
    """Topological order that keeps the declared order where it can.

    Raises:
        graphlib.CycleError: Tables read each other in a cycle.
    """
    return list(TopologicalSorter(graph).static_order())
