"""How tables of a domain follow from each other, and problems that several of them make."""

from __future__ import annotations

from dataclasses import replace
from graphlib import CycleError
from pathlib import Path

import pytest

from storage.types import TableRef
from tasks.domain.spec import (
    ColumnSpec,
    Deletes,
    DomainSpec,
    JoinSpec,
    Strategy,
    dependencies,
    expanded,
    ordered,
)
from tasks.validation import problems
from tests.unit.shop_domain import shop_domain


@pytest.fixture
def shop(tmp_path: Path) -> DomainSpec:
    return shop_domain(tmp_path)


def test_rows_that_vanish_cannot_be_referred_to(shop: DomainSpec) -> None:
    shop.silver["shop"] = replace(
        shop.silver["shop"], reduce=None, samples={}, columns={"id": ColumnSpec(), "lat": ColumnSpec()},
        delete_when="lat is null", deletes=Deletes.hard,
    )  # fmt: skip
    references, lookups = problems(shop)
    assert references.startswith(
        "domain.silver.sale.references.shops: rows of silver.shop vanish (deletes: hard)"
    )
    assert lookups.startswith("domain.silver.sale.lookups.shops: rows of silver.shop vanish")


def test_a_history_from_a_source_comes_after_its_events(shop: DomainSpec) -> None:
    whole = expanded(shop)
    events, history = whole.silver["account__events"], whole.silver["account"]
    assert events.strategy is Strategy.events
    assert (events.source, events.rules) == ("bronze.account", shop.silver["account"].rules)
    assert (history.source, history.inputs) == (None, ["silver.account__events"])
    assert list(history.columns) == ["id", "plan"]
    assert dependencies(whole)["silver.account"] == ("silver.account__events",)
    assert whole.silver["sale"] == shop.silver["sale"]


def test_a_query_may_read_the_events_of_a_history_that_is_fed_from_a_source(
    shop: DomainSpec,
) -> None:
    shop.gold["sales"].inputs.append("silver.account__events")
    assert problems(shop) == []
    shop.gold["sales"].inputs.append("silver.sale__events")
    assert problems(shop) == ["domain.gold.sales: unknown table silver.sale__events"]


def test_a_circle_through_the_events_of_a_history_is_found(shop: DomainSpec) -> None:
    shop.silver["account"].references = {"totals": JoinSpec("silver.totals", {"id": "shop"})}
    shop.silver["totals"].inputs.append("silver.account__events")
    assert any(text.startswith("tables read each other in a cycle") for text in problems(shop))


def test_every_problem_is_named_at_once(shop: DomainSpec) -> None:
    shop.bronze["sale"].columns = []
    shop.gold["sales"].key = []
    shop.silver["price"].track = []
    assert len(problems(shop)) >= 3


def test_unknown_layers_and_tables_of_a_run_are_named(shop: DomainSpec) -> None:
    layers, tables = problems(shop, layers=["golden", "gold"], tables=["gold.sale", "gold.sales"])
    assert layers == "layers: 'golden' is none of bronze, silver, gold, destination"
    assert tables.startswith(
        "tables: 'gold.sale' is none of bronze.sale, bronze.shop, bronze.account"
    )


def test_tables_that_read_each_other_are_named(shop: DomainSpec) -> None:
    shop.silver["price"].inputs = ["gold.sales"]
    shop.gold["sales"].inputs = ["silver.price"]
    (found,) = problems(shop)
    assert found.startswith("tables read each other in a cycle: ")
    assert {"silver.price", "gold.sales"} <= set(found.split(": ")[1].split(" -> "))
    with pytest.raises(CycleError):
        shop.tables()


def test_a_table_comes_after_all_that_it_reads(shop: DomainSpec) -> None:
    graph = dependencies(shop)
    assert graph["silver.sale"] == ("bronze.sale", "silver.shop")
    assert graph["silver.price"] == ("silver.sale",)
    order = ordered(graph)
    assert sorted(order) == sorted(graph)
    assert all(order.index(i) < order.index(t) for t, inputs in graph.items() for i in inputs)
    assert shop.tables() == [TableRef("shop", *label.split(".")) for label in order]
