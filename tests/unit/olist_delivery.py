"""A generated delivery of olist, read back by the standard library."""

from __future__ import annotations

import csv
import json
from datetime import date
from functools import cache
from typing import Any

from tasks.generate.generated import Generated

COLUMNS = {
    "olist_orders_dataset.csv": (
        "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
        "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date"
    ),
    "olist_order_items_dataset.csv": (
        "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value"
    ),
    "olist_order_payments_dataset.csv": (
        "order_id,payment_sequential,payment_type,payment_installments,payment_value"
    ),
    "olist_order_reviews_dataset.csv": (
        "review_id,order_id,review_score,review_comment_title,review_comment_message,"
        "review_creation_date,review_answer_timestamp"
    ),
    "olist_customers_dataset.csv": (
        "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,customer_state"
    ),
    "olist_products_dataset.csv": (
        "product_id,product_category_name,product_name_lenght,product_description_lenght,"
        "product_photos_qty,product_weight_g,product_length_cm,product_height_cm,product_width_cm"
    ),
    "olist_sellers_dataset.csv": "seller_id,seller_zip_code_prefix,seller_city,seller_state",
    "olist_geolocation_dataset.csv": (
        "geolocation_zip_code_prefix,geolocation_lat,geolocation_lng,geolocation_city,"
        "geolocation_state"
    ),
    "product_category_name_translation.csv": (
        "product_category_name,product_category_name_english"
    ),
}

FILE_OF = dict(
    zip(
        (
            "orders",
            "order_items",
            "order_payments",
            "order_reviews",
            "customers",
            "products",
            "sellers",
            "geolocation",
            "category_translation",
        ),
        COLUMNS,
        strict=True,
    )
)

KEYS = {
    "orders": ("order_id",),
    "order_items": ("order_id", "order_item_id"),
    "order_payments": ("order_id", "payment_sequential"),
    "order_reviews": ("review_id", "order_id"),
    "customers": ("customer_id",),
    "products": ("product_id",),
    "sellers": ("seller_id",),
    "geolocation": ("geolocation_zip_code_prefix",),
    "category_translation": ("product_category_name",),
}

DEPENDANTS = ("order_items", "order_payments", "order_reviews")

Record = dict[str, str]


class Delivery:
    """A generated folder, read back by the standard library."""

    def __init__(self, made: Generated) -> None:
        self.made = made
        self.folder = made.truth.parent
        self.truth: dict[str, Any] = json.loads(made.truth.read_text(encoding="utf-8"))
        self.tables: dict[str, list[Record]] = {}
        for table, file in FILE_OF.items():
            with (self.folder / file).open(encoding="utf-8", newline="") as stream:
                self.tables[table] = list(csv.DictReader(stream, strict=True))

    def defects(self, *kinds: str) -> list[dict[str, Any]]:
        return [defect for defect in self.truth["defects"] if defect["kind"] in kinds]


@cache
def day(text: str) -> date:
    return date.fromisoformat(text[:10])
