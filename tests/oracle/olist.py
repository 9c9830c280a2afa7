"""Olist computed from its CSV files in DuckDB, by the text of the specification alone.

Nothing here knows how the engine works: files are read with Python's ``csv``, the rules and
formulas are DuckDB SQL. The choices made are in the docstrings of ``silver`` and ``gold``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from tests.oracle.gold import GOLD_TABLES, build_gold
from tests.oracle.silver import SILVER_TABLES, build_silver
from tests.oracle.sources import SOURCES, read_text, sequence_files

KEYS: dict[str, tuple[str, ...]] = {
    **{table: source.key for table, source in SOURCES.items()},
    "customer_addresses": ("customer_unique_id", "valid_from"),
    "daily_revenue": ("order_date",),
    "monthly_revenue": ("order_month",),
    "customer_lifetime_value": ("customer_unique_id",),
    "customer_segments": ("customer_unique_id",),
    "product_performance": ("product_category",),
    "seller_performance": ("seller_id",),
    "delivery_sla": ("customer_state", "order_month"),
    "churn_features": ("customer_unique_id",),
    "dim_date": ("date_key",),
    "dim_customer": ("customer_key",),
    "dim_product": ("product_key",),
    "dim_seller": ("seller_key",),
    "fct_order_items": ("order_id", "order_item_id"),
    "revenue_to_date": ("order_date",),
    "active_customers": ("order_date",),
    "top_products": ("order_month", "revenue_rank"),
    "customer_cohorts": ("cohort_month", "month_number"),
}
"""The key of each silver table and the grain of each gold table."""


@dataclass(frozen=True)
class Oracle:
    """What the lake must hold after all deliveries.

    Attributes:
        silver: The nine source tables and ``customer_addresses``, business columns only.
        gold: The gold tables.
        quarantine: For each source table ``source_file`` (a file's name), ``record`` (1-based,
            header not counted) and ``rule``, in the order of delivery.
    """

    silver: dict[str, pa.Table]
    gold: dict[str, pa.Table]
    quarantine: dict[str, pa.Table]


def compute(deliveries: Sequence[Sequence[Path]]) -> Oracle:
    """Compute silver, gold and quarantine after the given deliveries.

    Args:
        deliveries: The deliveries in their order, each a list of CSV files; a file's name tells
            its table. A source without files has no rows.

    Raises:
        ValueError: A file's name belongs to no source, a header lacks a column, or a record has
            too few or too many fields.
    """
    files = sequence_files(deliveries)
    with duckdb.connect(config={"threads": 2}) as connection:
        for source in SOURCES:
            connection.register("text", read_text(source, files))
            connection.execute(f"CREATE TABLE text_{source} AS FROM text")
            connection.unregister("text")
        build_silver(connection)
        build_gold(connection)
        return Oracle(
            silver=_tables(connection, "silver", SILVER_TABLES),
            gold=_tables(connection, "gold", GOLD_TABLES),
            quarantine=_tables(connection, "quarantine", SOURCES),
        )


def _tables(
    connection: duckdb.DuckDBPyConnection, layer: str, tables: Iterable[str]
) -> dict[str, pa.Table]:
    return {table: connection.sql(f"FROM {layer}_{table}").to_arrow_table() for table in tables}
