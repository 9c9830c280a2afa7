"""The star schema of olist in DuckDB, and its sums against those of the other gold tables.

Choices made where the specification leaves one:

- ``fct_order_items`` has the items of valid orders, so that plain sums are those of the marts.
- ``dim_customer`` is SCD2: the spans of ``customer_addresses``. An item has the span that its order's
  purchase instant is in.
- A product or seller that only items name is a member of its dimension, with ``is_inferred``. The
  member ``unknown`` stands for what is not named at all, and for customers who have not arrived.
- ``dim_date`` goes from the first to the newest ``order_date`` over all orders, valid or not.
- Keys are the md5 of the natural key, for ``dim_customer`` with the span's start in microseconds;
  for ``dim_date`` the date as a number. Texts that are not known are ``unknown``, numbers null.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

STAR: dict[str, str] = {
    "dim_date": """
        SELECT
            CAST(strftime(day, '%Y%m%d') AS INTEGER) AS date_key,
            day AS calendar_date,
            CAST(year(day) AS INTEGER) AS year,
            CAST(quarter(day) AS INTEGER) AS quarter,
            CAST(month(day) AS INTEGER) AS month,
            monthname(day) AS month_name,
            CAST(date_trunc('month', day) AS DATE) AS month_start,
            CAST(isoyear(day) AS INTEGER) AS iso_year,
            CAST(week(day) AS INTEGER) AS iso_week,
            CAST(day(day) AS INTEGER) AS day_of_month,
            CAST(isodow(day) AS INTEGER) AS day_of_week,
            dayname(day) AS day_name,
            isodow(day) > 5 AS is_weekend
        FROM (
            SELECT CAST(
                unnest(generate_series(min(order_date), max(order_date), INTERVAL 1 DAY)) AS DATE
            ) AS day
            FROM silver_orders
        )
    """,
    "dim_customer": """
        SELECT
            md5(customer_unique_id || '|' || epoch_us(valid_from)) AS customer_key,
            customer_unique_id,
            coalesce(customer_zip_code_prefix, 'unknown') AS customer_zip_code_prefix,
            coalesce(customer_city, 'unknown') AS customer_city,
            coalesce(customer_state, 'unknown') AS customer_state,
            valid_from,
            valid_to,
            is_current
        FROM silver_customer_addresses
        UNION ALL
        VALUES ('unknown', NULL, 'unknown', 'unknown', 'unknown', NULL, NULL, true)
    """,
    "dim_product": """
        SELECT
            md5(m.product_id) AS product_key,
            m.product_id,
            coalesce(p.product_category, 'unknown') AS product_category,
            p.product_photos_qty,
            p.product_weight_g,
            p.product_length_cm,
            p.product_height_cm,
            p.product_width_cm,
            p.product_id IS NULL AS is_inferred
        FROM (
            SELECT product_id FROM silver_products
            UNION
            SELECT product_id FROM silver_order_items WHERE product_id IS NOT NULL
        ) AS m
        LEFT JOIN silver_products AS p ON p.product_id = m.product_id
        UNION ALL
        VALUES ('unknown', NULL, 'unknown', NULL, NULL, NULL, NULL, NULL, false)
    """,
    "dim_seller": """
        SELECT
            md5(m.seller_id) AS seller_key,
            m.seller_id,
            coalesce(s.seller_zip_code_prefix, 'unknown') AS seller_zip_code_prefix,
            coalesce(s.seller_city, 'unknown') AS seller_city,
            coalesce(s.seller_state, 'unknown') AS seller_state,
            s.seller_id IS NULL AS is_inferred
        FROM (
            SELECT seller_id FROM silver_sellers
            UNION
            SELECT seller_id FROM silver_order_items WHERE seller_id IS NOT NULL
        ) AS m
        LEFT JOIN silver_sellers AS s ON s.seller_id = m.seller_id
        UNION ALL
        VALUES ('unknown', NULL, 'unknown', 'unknown', 'unknown', false)
    """,
    "fct_order_items": """
        SELECT
            i.order_id,
            i.order_item_id,
            CAST(strftime(o.order_date, '%Y%m%d') AS INTEGER) AS date_key,
            coalesce(
                md5(a.customer_unique_id || '|' || epoch_us(a.valid_from)), 'unknown'
            ) AS customer_key,
            coalesce(md5(i.product_id), 'unknown') AS product_key,
            coalesce(md5(i.seller_id), 'unknown') AS seller_key,
            o.order_status,
            i.price,
            i.freight_value
        FROM valid_items AS i
        JOIN valid_orders AS o ON o.order_id = i.order_id
        ASOF LEFT JOIN silver_customer_addresses AS a
            ON a.customer_unique_id = o.customer_unique_id
            AND o.order_purchase_timestamp >= a.valid_from
    """,
}

# What each mart says of its key, and what the star says of the same.
_SUMS: dict[str, tuple[str, str]] = {
    "daily_revenue": (
        "SELECT order_date AS k, orders, items, customers, revenue, freight FROM daily_revenue",
        """
        SELECT
            calendar_date,
            count(DISTINCT order_id),
            count(*),
            count(DISTINCT customer_unique_id),
            sum(price),
            sum(freight_value)
        FROM star GROUP BY calendar_date
        """,
    ),
    "monthly_revenue": (
        "SELECT order_month AS k, orders, revenue FROM monthly_revenue",
        """
        SELECT month_start, count(DISTINCT order_id), sum(price)
        FROM star GROUP BY month_start
        """,
    ),
    "customer_lifetime_value": (
        """
        SELECT customer_unique_id AS k, orders, revenue, first_order_date, last_order_date, active_months
        FROM customer_lifetime_value
        """,
        """
        SELECT
            customer_unique_id,
            count(DISTINCT order_id),
            sum(price),
            min(calendar_date),
            max(calendar_date),
            count(DISTINCT month_start)
        FROM star WHERE customer_unique_id IS NOT NULL GROUP BY customer_unique_id
        """,
    ),
    "product_performance": (
        "SELECT product_category AS k, products, items, orders, revenue FROM product_performance",
        """
        SELECT
            product_category,
            count(DISTINCT product_id),
            count(*),
            count(DISTINCT order_id),
            sum(price)
        FROM star GROUP BY product_category
        """,
    ),
    "seller_performance": (
        """
        SELECT seller_id AS k, coalesce(seller_state, 'unknown'), items, orders, revenue
        FROM seller_performance
        """,
        """
        SELECT seller_id, any_value(seller_state), count(*), count(DISTINCT order_id), sum(price)
        FROM star WHERE seller_id IS NOT NULL GROUP BY seller_id
        """,
    ),
}

_JOINED = """
    SELECT *
    FROM fct_order_items
    JOIN dim_date USING (date_key)
    JOIN dim_customer USING (customer_key)
    JOIN dim_product USING (product_key)
    JOIN dim_seller USING (seller_key)
"""


def assert_star_equals_marts(gold: Mapping[str, pa.Table]) -> None:
    """Assert that the star gives the sums of the marts, by date, month, person, category and seller.

    Args:
        gold: The gold tables by name; more than those compared are allowed.

    Raises:
        AssertionError: Items are lost or doubled in a join, or a sum differs.
    """
    with duckdb.connect(config={"threads": 2}) as connection:
        for name in (*STAR, *_SUMS):
            connection.register(name, gold[name])
        connection.execute(f"CREATE TABLE star AS {_JOINED}")
        joined = connection.sql("SELECT count(*) FROM star").fetchall()[0][0]
        items = gold["fct_order_items"].num_rows
        assert joined == items, f"{items} items became {joined} when joined to the dimensions"
        for mart, (expected, found) in _SUMS.items():
            differing = [
                row
                for one, other in ((expected, found), (found, expected))
                for row in connection.sql(f"{one} EXCEPT {other}").fetchall()
            ]
            assert not differing, f"{mart} and the star differ: {sorted(differing, key=str)[:4]}"
