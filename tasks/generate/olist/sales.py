"""What orders contain and how they are paid: baskets, items and payments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.generate.columns import (
    ABSENT,
    Cents,
    Coded,
    FloatArray,
    Identifiers,
    Instants,
    IntArray,
    Integers,
    Table,
)
from tasks.generate.olist.catalog import Catalog
from tasks.generate.olist.orders import CANCELED, CREATED, DAY, SHIPPED, UNAVAILABLE, Orders
from tasks.generate.olist.people import Places
from tasks.generate.sampling import draw, ranks, spread

PAYMENT_TYPES = ("credit_card", "boleto", "voucher", "debit_card", "not_defined")
CREDIT_CARD, BOLETO, VOUCHER, _DEBIT_CARD, NOT_DEFINED = range(5)

_FIRST_PAYMENT = (0.757, 0.199, 0.029, 0.015)
_FURTHER_PAYMENT = (0.12, 0.0, 0.87, 0.01)
_INSTALLMENTS = {
    1: 330, 2: 162, 3: 136, 4: 93, 5: 68, 6: 51, 7: 21, 8: 56, 9: 8, 10: 69,
    11: 0.3, 12: 1.7, 13: 0.2, 14: 0.2, 15: 1, 16: 0.1, 17: 0.1, 18: 0.4, 20: 0.2, 24: 0.2,
}  # fmt: skip
_FURTHER_ITEMS = (0.769, 0.136, 0.05, 0.02, 0.016, 0.004, 0.002, 0.001, 0.001, 0.001)
_FURTHER_PAYMENTS = tuple(k**-2.8 for k in range(1, 29))  # up to 29 payments an order
_SAME_PRODUCT = 0.6  # further items that are one more of the first
_SECOND_SELLER = 0.03  # items that another seller than the product's usual one sells
_UNDEFINED_PAYMENT = 0.005  # canceled orders whose payment never took a form
_SHIPPING_DAYS = (0.005, 0.01, 0.05, 0.025, 0.16, 0.11, 0.4, 0.09, 0.05, 0.03, 0.03, 0.02, 0.02)
_KM_PER_DEGREE = 111.0


@dataclass(frozen=True)
class Basket:
    """The items before they have dates.

    Attributes:
        order: Order of each item, ascending (m,).
        product: Product of each item (m,).
        seller: Seller of each item (m,).
        kilometres: Distance from the order's first seller to its customer (n,).
    """

    order: IntArray
    product: IntArray
    seller: IntArray
    kilometres: FloatArray


def basket(
    rng: np.random.Generator,
    status: IntArray,
    rows: int,
    *,
    products: int,
    seller_prefix: IntArray,
    customer_prefix: IntArray,
    where: Places,
) -> Basket:
    """Fill the orders with exactly `rows` items; some unsuccessful orders stay empty."""
    filled = np.flatnonzero(rng.random(len(status)) >= _empty_chance(status))
    counts = 1 + spread(rng, rows - len(filled), len(filled), _FURTHER_ITEMS)
    first = _popular(rng, products, len(filled))
    product = np.repeat(first, counts)
    other = (ranks(counts) > 1) & (rng.random(rows) >= _SAME_PRODUCT)
    product[other] = _popular(rng, products, int(other.sum()))
    sellers = len(seller_prefix)
    usual = _popular(rng, sellers, products)
    seller = usual[product]
    second = rng.random(rows) < _SECOND_SELLER
    seller[second] = rng.integers(0, sellers, int(second.sum()))
    origin = seller_prefix[rng.integers(0, sellers, len(status))]
    origin[filled] = seller_prefix[seller[np.cumsum(counts) - counts]]
    north = where.lat[origin] - where.lat[customer_prefix]
    east = where.lng[origin] - where.lng[customer_prefix]
    return Basket(
        order=np.repeat(filled, counts),
        product=product,
        seller=seller,
        kilometres=np.sqrt(north**2 + east**2) * _KM_PER_DEGREE,
    )


def items(
    rng: np.random.Generator,
    basket: Basket,
    orders: Orders,
    catalog: Catalog,
    sellers: Table,
) -> tuple[Table, IntArray]:
    """Generate the items.

    Returns:
        The items, in the order of their order's identifiers, and the total of price and freight
        of each order in cents (n,).
    """
    rows = len(basket.order)
    number = ranks(np.bincount(basket.order, minlength=orders.table.rows))
    offer = np.array([100, 90, 110, 95], dtype=np.int64)[draw(rng, (0.85, 0.06, 0.04, 0.05), rows)]
    price = np.maximum(catalog.price[basket.product] * offer // 100, 85)
    freight = _freight(rng, basket, catalog)
    start = np.where(orders.approved == ABSENT, orders.purchased, orders.approved)[basket.order]
    limit = start + draw(rng, _SHIPPING_DAYS, rows) * DAY
    totals = np.bincount(basket.order, price + freight, orders.table.rows).astype(np.int64)
    high, low = orders.raw.view(">u8").T
    at = np.lexsort((number, low[basket.order], high[basket.order]))
    product, seller = catalog.table.identified("product_id"), sellers.identified("seller_id")
    table = Table(
        name="order_items",
        file="olist_order_items_dataset.csv",
        key=("order_id", "order_item_id"),
        rows=rows,
        columns={
            "order_id": Identifiers(orders.raw, basket.order[at]),
            "order_item_id": Integers(number[at]),
            "product_id": Identifiers(product.raw, basket.product[at]),
            "seller_id": Identifiers(seller.raw, basket.seller[at]),
            "shipping_limit_date": Instants(limit[at]),
            "price": Cents(price[at]),
            "freight_value": Cents(freight[at]),
        },
    )
    return table, totals


def payment_forms(rng: np.random.Generator, rows: int) -> IntArray:
    """Draw the form of each order's first payment, into `PAYMENT_TYPES` (rows,)."""
    return draw(rng, _FIRST_PAYMENT, rows)


def payments(
    rng: np.random.Generator, rows: int, orders: Orders, totals: IntArray, first_form: IntArray
) -> Table:
    """Generate exactly `rows` payments, which add up to each order's total.

    An order without items was paid before it failed, so it gets a total of its own. Of a large
    file's orders, one in a hundred thousand has no payment.
    """
    count = orders.table.rows
    unitemised = (rng.lognormal(4.6, 0.8, count) * 100).astype(np.int64)
    totals = np.where(totals == 0, unitemised, totals)
    paid = np.sort(rng.permutation(count)[: count - round(count / 99_441)])
    counts = 1 + spread(rng, rows - len(paid), len(paid), _FURTHER_PAYMENTS)
    order, number = np.repeat(paid, counts), ranks(counts)
    form = np.where(number == 1, first_form[order], draw(rng, _FURTHER_PAYMENT, rows))
    undefined = (orders.status == CANCELED) & (rng.random(count) < _UNDEFINED_PAYMENT)
    form = np.where(undefined[order], NOT_DEFINED, form)
    totals = np.where(undefined, 0, totals)
    share = np.where(number == 1, 1.5, 1.0) * rng.random(rows)
    share = share / np.bincount(order, share, count)[order]
    value = (totals[order] * share).astype(np.int64)
    rest = totals - np.bincount(order, value, count).astype(np.int64)
    value = np.where(number == 1, value + rest[order], value)
    by_card = np.array(list(_INSTALLMENTS), dtype=np.int64)[
        draw(rng, list(_INSTALLMENTS.values()), rows)
    ]
    at = rng.permutation(rows)
    return Table(
        name="order_payments",
        file="olist_order_payments_dataset.csv",
        key=("order_id", "payment_sequential"),
        rows=rows,
        columns={
            "order_id": Identifiers(orders.raw, order[at]),
            "payment_sequential": Integers(number[at]),
            "payment_type": Coded(form[at], PAYMENT_TYPES),
            "payment_installments": Integers(np.where(form == CREDIT_CARD, by_card, 1)[at]),
            "payment_value": Cents(value[at]),
        },
    )


def _empty_chance(status: IntArray) -> FloatArray:
    """Chance of an order to hold no item (n,)."""
    chance = np.zeros(len(status))
    chance[status == UNAVAILABLE] = 0.99
    chance[status == CANCELED] = 0.26
    chance[status == CREATED] = 1.0
    chance[status == SHIPPED] = 0.001
    return chance


def _popular(rng: np.random.Generator, things: int, size: int) -> IntArray:
    """Draw `size` of `things`, each at least once if there is room, a few of them very often."""
    weight = rng.permutation(rng.pareto(1.3, things) + 0.02)
    every = rng.permutation(things)[:size]
    return rng.permutation(np.concatenate([every, draw(rng, weight, size - len(every))]))


def _freight(rng: np.random.Generator, basket: Basket, catalog: Catalog) -> IntArray:
    """Draw freight in cents: by weight and distance, now and then free."""
    kilos = catalog.weight[basket.product] / 1000
    units = 8.5 + 0.007 * basket.kilometres[basket.order] + 1.5 * kilos
    units = np.clip(units * rng.lognormal(0.1, 0.35, len(units)), 1, 410)
    free = rng.random(len(units)) < 0.0034
    return np.where(free, 0, np.rint(units * 100)).astype(np.int64)
