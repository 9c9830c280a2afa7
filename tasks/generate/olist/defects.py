"""What can go wrong in each of the nine files, by the row rules of their silver tables."""

from __future__ import annotations

from tasks.generate.breaking import another, dearer, empty, one_of, shifted
from tasks.generate.columns import Table
from tasks.generate.olist.catalog import CATEGORIES
from tasks.generate.olist.orders import CANCELED, STATUSES
from tasks.generate.olist.sales import NOT_DEFINED, PAYMENT_TYPES
from tasks.generate.planting import Change, Recipe, Row, Rule

_NO_INSTANT = ("2018-13-05 10:00:00", "31/12/2017 10:00", "2018-02-30 08:00:00", "not a date")
_NO_NUMBER = ("abc", "12,50", "1.2.3", "R$ 10")
_NO_SCORE = ("0", "6", "-1", "10")
_LONGEST_DAYS = 365


def recipes(*, customers: Table, sellers: Table) -> dict[str, Recipe]:
    """Return each table's recipe, by table name."""
    return {
        "orders": _orders(),
        "order_items": _items(),
        "order_payments": _payments(),
        "order_reviews": _reviews(),
        "customers": Recipe(
            rules=[_key_missing("customer_id")],
            corrections=[_moved(customers, "customer_zip_code_prefix")],
        ),
        "products": _products(),
        "sellers": Recipe(
            rules=[_key_missing("seller_id")],
            corrections=[_moved(sellers, "seller_zip_code_prefix")],
        ),
        # Each record of a prefix is one more sample of it: none replaces an earlier one.
        "geolocation": Recipe(
            rules=[
                _key_missing("geolocation_zip_code_prefix"),
                _not_parseable(numbers=("geolocation_lat", "geolocation_lng")),
            ]
        ),
        "category_translation": Recipe(
            rules=[_key_missing("product_category_name")],
            corrections=[
                (
                    "product_category_name_english",
                    lambda row, _: f"{row['product_category_name_english']}_goods",
                )
            ],
        ),
    }


def _orders() -> Recipe:
    instants = (
        "order_purchase_timestamp",
        "order_approved_at",
        "order_delivered_carrier_date",
        "order_delivered_customer_date",
        "order_estimated_delivery_date",
    )
    estimated, purchased = instants[-1], instants[0]
    return Recipe(
        rules=[
            _key_missing("order_id"),
            _not_parseable(instants=instants),
            _required_missing(purchased),
            Rule(
                "delivery_too_long",
                [("order_delivered_customer_date", _after_a_year)],
                requires=("order_delivered_customer_date",),
            ),
        ],
        corrections=[
            (estimated, lambda row, pick: shifted(row[estimated], days=1 + pick % 10)),
            ("order_status", _unsuccessful),
            (purchased, lambda row, pick: shifted(row[purchased], hours=-1 - pick % 3)),
        ],
    )


def _items() -> Recipe:
    amounts = ("price", "freight_value")
    return Recipe(
        rules=[
            _key_missing("order_id", "order_item_id"),
            _not_parseable(instants=("shipping_limit_date",), numbers=("order_item_id", *amounts)),
            _required_missing(*amounts),
            _negative(*amounts),
        ],
        corrections=[dearer("price"), dearer("freight_value")],
        orphans=("order_id",),
    )


def _payments() -> Recipe:
    return Recipe(
        rules=[
            _key_missing("order_id", "payment_sequential"),
            _not_parseable(numbers=("payment_sequential", "payment_installments", "payment_value")),
            _required_missing("payment_value"),
            _negative("payment_value"),
        ],
        corrections=[
            dearer("payment_value"),
            ("payment_type", another("payment_type", PAYMENT_TYPES[:NOT_DEFINED])),
        ],
        orphans=("order_id",),
    )


def _reviews() -> Recipe:
    return Recipe(
        rules=[
            _key_missing("review_id", "order_id"),
            _not_parseable(
                instants=("review_creation_date", "review_answer_timestamp"),
                numbers=("review_score",),
            ),
            _required_missing("review_score"),
            Rule("score_out_of_range", [("review_score", one_of(_NO_SCORE))]),
        ],
        corrections=[
            ("review_score", another("review_score", ("1", "2", "3", "4", "5"))),
            (
                "review_comment_message",
                lambda row, _: f'{row["review_comment_message"]}\r\nAtualização: "resolvido".',
            ),
        ],
        orphans=("order_id", "review_id"),
    )


def _products() -> Recipe:
    numbers = (
        "product_name_lenght",
        "product_description_lenght",
        "product_photos_qty",
        "product_weight_g",
        "product_length_cm",
        "product_height_cm",
        "product_width_cm",
    )
    names = tuple(category.name for category in CATEGORIES)
    return Recipe(
        rules=[_key_missing("product_id"), _not_parseable(numbers=numbers)],
        corrections=[
            ("product_category_name", another("product_category_name", names)),
            (
                "product_weight_g",
                lambda row, pick: str(int(row["product_weight_g"] or 0) + 50 + pick % 500),
            ),
        ],
    )


def _key_missing(*columns: str) -> Rule:
    return Rule("key_missing", [(column, empty) for column in columns])


def _required_missing(*columns: str) -> Rule:
    return Rule("required_missing", [(column, empty) for column in columns])


def _not_parseable(*, instants: tuple[str, ...] = (), numbers: tuple[str, ...] = ()) -> Rule:
    return Rule(
        "not_parseable",
        [(column, one_of(_NO_INSTANT)) for column in instants]
        + [(column, one_of(_NO_NUMBER)) for column in numbers],
    )


def _negative(*columns: str) -> Rule:
    def change(column: str) -> Change:
        return lambda row, _: repr(-max(float(row[column]), 0.01))

    return Rule("negative_amount", [(column, change(column)) for column in columns])


def _moved(table: Table, column: str) -> tuple[str, Change]:
    """The next zip code prefix in use, mostly one of the same city."""
    words = table.coded(column).words
    following = dict(zip(words, [*words[1:], words[0]], strict=True))
    return column, lambda row, _: following[row[column]]


def _unsuccessful(row: Row, _pick: int) -> str:
    """A status that makes the order invalid, another one than it has."""
    canceled = STATUSES[CANCELED]
    return "unavailable" if row["order_status"] == canceled else canceled


def _after_a_year(row: Row, pick: int) -> str:
    """A delivery 366 to 765 days after the purchase date, often just over the limit."""
    days = _LONGEST_DAYS + 1 + (pick % 400 if pick % 3 else 0)
    return shifted(row["order_purchase_timestamp"], days=days)
