"""Generator of the olist domain: nine CSV files in the original's names, columns and proportions.

The same parameters give the same bytes (with the pinned numpy, whose streams may change between
releases). Defects are planted on top of the data of the same seed, which they leave as it is.

A rate is the share of each file's rows that a row rule breaks; duplicates, corrections and orphans
come at the same rate each. A silver table lets 5 % of a batch (or 20 rows) into quarantine before
its gate blocks, so a rate over about 0.05 blocks by design.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.generate.columns import BoolArray, Identifiers, Table
from tasks.generate.generated import Generated, require, write_tables
from tasks.generate.olist.catalog import products, translations
from tasks.generate.olist.defects import recipes
from tasks.generate.olist.orders import orders as make_orders
from tasks.generate.olist.orders import statuses
from tasks.generate.olist.people import customers, geolocation, places, sellers
from tasks.generate.olist.reviews import reviews
from tasks.generate.olist.sales import BOLETO, basket, items, payment_forms, payments
from tasks.generate.planting import Planted, plant, untouched

FULL_SIZE = {
    "orders": 99_441,
    "order_items": 112_650,
    "order_payments": 103_886,
    "order_reviews": 99_224,
    "customers": 99_441,
    "products": 32_951,
    "sellers": 3_095,
    "geolocation": 1_000_163,
}
MIN_ORDERS = 50
TRUTH = "olist_truth.json"

_PREFIXES = 19_015  # zip code prefixes in use at full size
_FEWEST_ROWS = 3  # a table as small as this still has room for each kind of defect
_DEPENDANTS = ("order_items", "order_payments", "order_reviews")
_STREAMS = ("places", "customers", "sellers", "products", "geolocation", "sales", "defects")


def generate(to: Path, *, rows: int = 99_441, seed: int = 7, defects: float = 0.0) -> Generated:
    """Write the nine files and the truth file into the folder `to`.

    Files of these names are replaced, each whole or not at all; the truth file comes last and is
    absent while it does not describe the others.

    Args:
        to: Folder, made if it is missing.
        rows: Orders to generate; the other files grow with them, the translations do not.
        seed: Seed of every random choice, 0 or more.
        defects: Share of each file's rows that break a row rule, and share of rows for each
            other kind of defect; 0 to 0.5.

    Raises:
        ValueError: A parameter is out of its range.
    """
    require(rows, seed, defects, fewest=MIN_ORDERS, counted="rows (orders)")
    parameters = {"rows": rows, "seed": seed, "defects": defects}
    planted = _planted(_tables(rows, seed), seed, defects)
    return write_tables(to, TRUTH, "olist", parameters, planted)


def row_counts(orders: int) -> dict[str, int]:
    """Return the rows of each table without defects, by table name."""
    counts = {
        table: max(_FEWEST_ROWS, round(rows * orders / FULL_SIZE["orders"]))
        for table, rows in FULL_SIZE.items()
    }
    return counts | {"category_translation": translations().rows}


def _stream(seed: int, name: str) -> np.random.Generator:
    """A stream of its own for each part, so that one does not move the others."""
    return np.random.default_rng([seed, _STREAMS.index(name)])


def _tables(order_count: int, seed: int) -> dict[str, Table]:
    """Generate the tables without defects, by name."""
    rows = row_counts(order_count)
    prefixes = round(_PREFIXES * order_count / FULL_SIZE["orders"])
    where = places(_stream(seed, "places"), prefixes)
    people = customers(_stream(seed, "customers"), where, rows["customers"])
    shops = sellers(_stream(seed, "sellers"), where, rows["sellers"])
    catalog = products(_stream(seed, "products"), rows["products"])

    rng = _stream(seed, "sales")
    customer = rng.permutation(rows["customers"])
    status = statuses(rng, rows["orders"])
    baskets = basket(
        rng,
        status,
        rows["order_items"],
        products=rows["products"],
        seller_prefix=shops.coded("seller_zip_code_prefix").codes,
        customer_prefix=people.coded("customer_zip_code_prefix").codes[customer],
        where=where,
    )
    form = payment_forms(rng, rows["orders"])
    placed = make_orders(
        rng,
        status,
        customer=Identifiers(people.identified("customer_id").raw, customer),
        kilometres=baskets.kilometres,
        slow_payment=form == BOLETO,
    )
    item_table, totals = items(rng, baskets, placed, catalog, shops)
    tables = (
        placed.table,
        item_table,
        payments(rng, rows["order_payments"], placed, totals, form),
        reviews(rng, rows["order_reviews"], placed),
        people,
        catalog.table,
        shops,
        geolocation(_stream(seed, "geolocation"), where, rows["geolocation"]),
        translations(),
    )
    return {table.name: table for table in tables}


def _planted(tables: dict[str, Table], seed: int, rate: float) -> Iterator[tuple[Table, Planted]]:
    """Plant the defects, orders first: what is lost there keeps its dependants waiting."""
    rng = _stream(seed, "defects")
    book = recipes(customers=tables["customers"], sellers=tables["sellers"])
    lost: BoolArray = np.zeros(tables["orders"].rows, dtype=np.bool_)
    for name, table in tables.items():
        if rate == 0:
            yield table, untouched(table)
            continue
        waiting = lost[table.identified("order_id").index] if name in _DEPENDANTS else None
        planted = plant(rng, table, book[name], rate, waiting)
        if name == "orders":
            lost = planted.lost
        yield table, planted
