"""The nine olist source files: their columns, types and keys, and how they are read as text."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import pyarrow as pa

Kind = Literal["text", "integer", "money", "double", "timestamp"]


@dataclass(frozen=True)
class Column:
    """A source column: its name in silver, its type, and the row rules it is under."""

    name: str
    kind: Kind = "text"
    source: str = ""
    required: bool = False
    non_negative: bool = False

    @property
    def source_name(self) -> str:
        """Its name in the CSV header."""
        return self.source or self.name


@dataclass(frozen=True)
class Source:
    """A source file pattern with its columns and the key of its rows."""

    pattern: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class SourceFile:
    """A file as delivered; ``number`` is its place in the sequence of all deliveries."""

    table: str
    path: Path
    number: int


def _text(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in names)


def _of(
    kind: Kind, *names: str, required: bool = False, non_negative: bool = False
) -> tuple[Column, ...]:
    return tuple(Column(name, kind, required=required, non_negative=non_negative) for name in names)


SOURCES: dict[str, Source] = {
    "orders": Source(
        "olist_orders_dataset*.csv",
        ("order_id",),
        (
            *_text("order_id", "customer_id", "order_status"),
            Column("order_purchase_timestamp", "timestamp", required=True),
            *_of(
                "timestamp",
                "order_approved_at",
                "order_delivered_carrier_date",
                "order_delivered_customer_date",
                "order_estimated_delivery_date",
            ),
        ),
    ),
    "order_items": Source(
        "olist_order_items_dataset*.csv",
        ("order_id", "order_item_id"),
        (
            *_text("order_id"),
            Column("order_item_id", "integer"),
            *_text("product_id", "seller_id"),
            Column("shipping_limit_date", "timestamp"),
            *_of("money", "price", "freight_value", required=True, non_negative=True),
        ),
    ),
    "order_payments": Source(
        "olist_order_payments_dataset*.csv",
        ("order_id", "payment_sequential"),
        (
            *_text("order_id"),
            Column("payment_sequential", "integer"),
            *_text("payment_type"),
            Column("payment_installments", "integer"),
            Column("payment_value", "money", required=True, non_negative=True),
        ),
    ),
    "order_reviews": Source(
        "olist_order_reviews_dataset*.csv",
        ("review_id", "order_id"),
        (
            *_text("review_id", "order_id"),
            Column("review_score", "integer", required=True),
            *_text("review_comment_title", "review_comment_message"),
            *_of("timestamp", "review_creation_date", "review_answer_timestamp"),
        ),
    ),
    "customers": Source(
        "olist_customers_dataset*.csv",
        ("customer_id",),
        _text(
            "customer_id",
            "customer_unique_id",
            "customer_zip_code_prefix",
            "customer_city",
            "customer_state",
        ),
    ),
    "products": Source(
        "olist_products_dataset*.csv",
        ("product_id",),
        (
            *_text("product_id", "product_category_name"),
            Column("product_name_length", "integer", "product_name_lenght"),
            Column("product_description_length", "integer", "product_description_lenght"),
            *_of(
                "integer",
                "product_photos_qty",
                "product_weight_g",
                "product_length_cm",
                "product_height_cm",
                "product_width_cm",
            ),
        ),
    ),
    "sellers": Source(
        "olist_sellers_dataset*.csv",
        ("seller_id",),
        _text("seller_id", "seller_zip_code_prefix", "seller_city", "seller_state"),
    ),
    "geolocation": Source(
        "olist_geolocation_dataset*.csv",
        ("zip_code_prefix",),
        (
            Column("zip_code_prefix", source="geolocation_zip_code_prefix"),
            Column("latitude", "double", "geolocation_lat", required=True),
            Column("longitude", "double", "geolocation_lng", required=True),
            Column("city", source="geolocation_city"),
            Column("state", source="geolocation_state"),
        ),
    ),
    "category_translation": Source(
        "product_category_name_translation*.csv",
        ("product_category_name",),
        _text("product_category_name", "product_category_name_english"),
    ),
}


def sequence_files(deliveries: Sequence[Sequence[Path]]) -> list[SourceFile]:
    """Put the files of all deliveries in sequence, each content of a table once.

    Files within one delivery are taken in the order of their names. A content that was delivered
    before, under whatever name, is left out.

    Raises:
        ValueError: A file's name belongs to no table.
    """
    seen: set[tuple[str, str]] = set()
    files: list[SourceFile] = []
    for delivery in deliveries:
        for path in sorted(delivery, key=lambda path: (path.name, str(path))):
            table = _table_of(path)
            content = (table, hashlib.sha256(path.read_bytes()).hexdigest())
            if content not in seen:
                seen.add(content)
                files.append(SourceFile(table, path, len(files)))
    return files


def read_text(table: str, files: Sequence[SourceFile]) -> pa.Table:
    """Read a table's files as text, in silver's column names.

    Empty text is null; columns that the source does not know are left out. ``_file_number`` and
    ``_record`` (1-based, header not counted) say where a row stands, ``_file`` names its file.

    Raises:
        ValueError: A header lacks a column, or a record has too few or too many fields.
        csv.Error: A quote is broken.
    """
    columns = SOURCES[table].columns
    schema = pa.schema(
        [(column.name, pa.string()) for column in columns]
        + [("_file", pa.string()), ("_file_number", pa.int64()), ("_record", pa.int64())]
    )
    parts = [schema.empty_table()]
    for file in files:
        if file.table == table:
            values = list(zip(*_records(file.path, columns), strict=True))
            count = len(values[0]) if values else 0
            arrays = [pa.array(column, pa.string()) for column in values or [()] * len(columns)]
            arrays += [
                pa.array([file.path.name] * count, pa.string()),
                pa.array([file.number] * count, pa.int64()),
                pa.array(range(1, count + 1), pa.int64()),
            ]
            parts.append(pa.Table.from_arrays(arrays, schema=schema))
    return pa.concat_tables(parts)


def _table_of(path: Path) -> str:
    for table, source in SOURCES.items():
        if fnmatchcase(path.name, source.pattern):
            return table
    raise ValueError(f"{path}: the name matches no olist source; rename it or leave it out")


def _records(path: Path, columns: Sequence[Column]) -> Iterator[list[str | None]]:
    # One original file starts with a byte order mark.
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        header = next(reader, [])
        names = [column.source_name for column in columns]
        if missing := sorted(set(names) - set(header)):
            raise ValueError(f"{path}: the header {header} lacks {missing}")
        places = [header.index(name) for name in names]
        record = 0
        for fields in reader:
            if not fields:  # a blank line is not a record
                continue
            record += 1
            if len(fields) != len(header):
                raise ValueError(
                    f"{path}: record {record} has {len(fields)} fields, the header {len(header)}"
                )
            yield [fields[place] or None for place in places]
