"""Small olist files written by hand for tests, and their answers looked up by key."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

NAMES = {
    "orders": "olist_orders_dataset",
    "items": "olist_order_items_dataset",
    "payments": "olist_order_payments_dataset",
    "reviews": "olist_order_reviews_dataset",
    "customers": "olist_customers_dataset",
    "products": "olist_products_dataset",
    "sellers": "olist_sellers_dataset",
    "geolocation": "olist_geolocation_dataset",
    "translation": "product_category_name_translation",
}
HEADERS = {
    "orders": "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
    "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date",
    "items": "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value",
    "payments": "order_id,payment_sequential,payment_type,payment_installments,payment_value",
    "reviews": "review_id,order_id,review_score,review_comment_title,review_comment_message,"
    "review_creation_date,review_answer_timestamp",
    "customers": "customer_id,customer_unique_id,customer_zip_code_prefix,customer_city,"
    "customer_state",
    "products": "product_id,product_category_name,product_name_lenght,product_description_lenght,"
    "product_photos_qty,product_weight_g,product_length_cm,product_height_cm,product_width_cm",
    "sellers": "seller_id,seller_zip_code_prefix,seller_city,seller_state",
    "geolocation": "geolocation_zip_code_prefix,geolocation_lat,geolocation_lng,geolocation_city,"
    "geolocation_state",
    "translation": "product_category_name,product_category_name_english",
}


def deliver(folder: Path, suffix: str = "", **tables: Sequence[Sequence[str]]) -> list[Path]:
    """Write one file a table; short rows are filled up with empty fields."""
    folder.mkdir(exist_ok=True)
    paths = []
    for table, rows in tables.items():
        header = HEADERS[table].split(",")
        path = folder / f"{NAMES[table]}{suffix}.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(header)
            writer.writerows([*row, *[""] * (len(header) - len(row))] for row in rows)
        paths.append(path)
    return paths


def by_key(table: pa.Table, *keys: str) -> dict[Any, dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    found = {
        tuple(row[key] for key in keys) if len(keys) > 1 else row[keys[0]]: row for row in rows
    }
    assert len(found) == len(rows)
    return found
