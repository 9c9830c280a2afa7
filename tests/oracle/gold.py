"""Gold of olist in DuckDB, one statement a table over ``silver_<table>``.

Choices made where the specification leaves one:

- An order without a status is not valid (``order_status`` is not *known* to be another one).
- Orders whose ``customer_unique_id`` is unknown count in every table but those of customer grain,
  and are not counted among distinct customers.
- An item without ``product_id`` counts as an item of ``unknown`` and not as a product sold; one
  without ``seller_id`` belongs to no row of ``seller_performance``. A seller who is not in silver
  has a row with ``seller_state`` null.
- A category's (seller's) orders are the valid orders with at least one item of it.
- An order's mean score is over all its reviews in silver.
- An order with ``is_delayed`` null (no estimate) is neither late nor on time, but is a delivered
  order where those are the denominator. Rates and averages over nothing are null.
- ``yoy_growth`` is null when the year before has no row or no revenue.
- In ``delivery_sla`` a null ``customer_state`` is the group ``unknown``: a key is never null.
- ``churn_features`` has the customers of ``customer_lifetime_value``; all its features are over
  their valid orders with at least one item, payments included. ``late_orders`` counts those with
  ``is_delayed``; ``avg_delivery_days`` asks for a delivered timestamp, whatever the valid status.
  Null instalments and null payment types are left out.
- "Alphabetical" is the order of code points.

Those of the star schema and the executive figures are in their modules.
"""

from __future__ import annotations

import duckdb

from tests.oracle.executive import EXECUTIVE
from tests.oracle.star import STAR

# Shared relations, in order of dependency.
_RELATIONS: dict[str, str] = {
    "as_of": "SELECT max(order_date) AS as_of FROM silver_orders",
    "valid_orders": """
        SELECT *, CAST(date_trunc('month', order_date) AS DATE) AS order_month
        FROM silver_orders
        WHERE order_status NOT IN ('canceled', 'unavailable')
    """,
    "valid_items": """
        SELECT i.*
        FROM silver_order_items AS i
        JOIN valid_orders AS o ON o.order_id = i.order_id
    """,
    # Valid orders with at least one item.
    "sales": """
        SELECT o.*, i.items, i.revenue, i.freight
        FROM valid_orders AS o
        JOIN (
            SELECT
                order_id,
                count(*) AS items,
                sum(price) AS revenue,
                sum(freight_value) AS freight
            FROM valid_items
            GROUP BY order_id
        ) AS i ON i.order_id = o.order_id
    """,
    "order_scores": """
        SELECT order_id, avg(review_score) AS score
        FROM silver_order_reviews
        GROUP BY order_id
    """,
}

_GOLD: dict[str, str] = {
    "daily_revenue": """
        SELECT
            order_date,
            count(*) AS orders,
            CAST(sum(items) AS BIGINT) AS items,
            count(DISTINCT customer_unique_id) AS customers,
            CAST(sum(revenue) AS DECIMAL(18,2)) AS revenue,
            CAST(sum(freight) AS DECIMAL(18,2)) AS freight,
            CAST(sum(revenue) AS DOUBLE) / count(*) AS avg_order_value
        FROM sales
        GROUP BY order_date
    """,
    "monthly_revenue": """
        WITH months AS (
            SELECT
                order_month,
                count(*) AS orders,
                CAST(sum(revenue) AS DECIMAL(18,2)) AS revenue
            FROM sales
            GROUP BY order_month
        )
        SELECT
            m.order_month,
            m.orders,
            m.revenue,
            y.revenue AS revenue_prev_year,
            CAST(m.revenue AS DOUBLE) / nullif(CAST(y.revenue AS DOUBLE), 0) - 1 AS yoy_growth
        FROM months AS m
        LEFT JOIN months AS y ON y.order_month + INTERVAL 1 YEAR = m.order_month
    """,
    "customer_lifetime_value": """
        SELECT
            customer_unique_id,
            count(*) AS orders,
            CAST(sum(revenue) AS DECIMAL(18,2)) AS revenue,
            CAST(sum(revenue) AS DOUBLE) / count(*) AS avg_order_value,
            min(order_date) AS first_order_date,
            max(order_date) AS last_order_date,
            count(DISTINCT order_month) AS active_months,
            CAST(count(*) AS DOUBLE) / count(DISTINCT order_month) AS purchase_frequency
        FROM sales
        WHERE customer_unique_id IS NOT NULL
        GROUP BY customer_unique_id
    """,
    "customer_segments": """
        WITH measures AS (
            SELECT
                customer_unique_id,
                (SELECT as_of FROM as_of) - last_order_date AS recency_days,
                orders AS frequency,
                revenue AS monetary
            FROM gold_customer_lifetime_value
        ),
        scores AS (
            SELECT
                *,
                6 - ntile(5) OVER (ORDER BY recency_days, customer_unique_id) AS r_score,
                ntile(5) OVER (ORDER BY frequency, customer_unique_id) AS f_score,
                ntile(5) OVER (ORDER BY monetary, customer_unique_id) AS m_score
            FROM measures
        )
        SELECT
            *,
            CASE
                WHEN r_score >= 4 AND f_score >= 4 THEN 'champions'
                WHEN r_score <= 2 AND f_score >= 4 THEN 'at_risk'
                WHEN f_score >= 4 THEN 'loyal'
                WHEN r_score >= 4 THEN 'recent'
                WHEN r_score <= 2 THEN 'hibernating'
                ELSE 'regular'
            END AS segment
        FROM scores
    """,
    "product_performance": """
        WITH sold AS (
            SELECT
                product_category,
                count(DISTINCT product_id) AS products,
                count(*) AS items,
                count(DISTINCT order_id) AS orders,
                CAST(sum(price) AS DECIMAL(18,2)) AS revenue,
                CAST(sum(price) AS DOUBLE) / count(*) AS avg_price
            FROM valid_items
            GROUP BY product_category
        ),
        scored AS (
            SELECT product_category, avg(score) AS avg_review_score
            FROM (SELECT DISTINCT product_category, order_id FROM valid_items)
            JOIN order_scores USING (order_id)
            GROUP BY product_category
        )
        SELECT
            sold.*,
            scored.avg_review_score,
            dense_rank() OVER (ORDER BY revenue DESC) AS revenue_rank
        FROM sold
        LEFT JOIN scored USING (product_category)
    """,
    "seller_performance": """
        WITH sold AS (
            SELECT
                seller_id,
                any_value(seller_state) AS seller_state,
                count(DISTINCT order_id) AS orders,
                count(*) AS items,
                CAST(sum(price) AS DECIMAL(18,2)) AS revenue
            FROM valid_items
            WHERE seller_id IS NOT NULL
            GROUP BY seller_id
        ),
        served AS (
            SELECT
                i.seller_id,
                avg(s.score) AS avg_review_score,
                count(*) FILTER (d.delivered AND NOT o.is_delayed)
                    / nullif(CAST(count(*) FILTER (d.delivered) AS DOUBLE), 0) AS on_time_rate
            FROM (SELECT DISTINCT seller_id, order_id FROM valid_items) AS i
            JOIN valid_orders AS o ON o.order_id = i.order_id
            CROSS JOIN LATERAL (
                SELECT o.order_status = 'delivered'
                    AND o.order_delivered_customer_date IS NOT NULL AS delivered
            ) AS d
            LEFT JOIN order_scores AS s ON s.order_id = i.order_id
            GROUP BY i.seller_id
        )
        SELECT
            sold.*,
            served.avg_review_score,
            served.on_time_rate,
            dense_rank() OVER (ORDER BY revenue DESC) AS revenue_rank
        FROM sold
        JOIN served USING (seller_id)
    """,
    # Differences of epoch microseconds: exact, and negative when the instants are out of order.
    "delivery_sla": """
        SELECT
            customer_state,
            order_month,
            count(*) AS delivered_orders,
            count(*) FILTER (NOT is_delayed) AS on_time_orders,
            CAST(count(*) FILTER (NOT is_delayed) AS DOUBLE) / count(*) AS on_time_rate,
            avg(delivery_time_days) AS avg_delivery_days,
            quantile_cont(CAST(delivery_time_days AS DOUBLE), 0.9) AS p90_delivery_days,
            avg(epoch_us(order_delivered_carrier_date) - epoch_us(order_approved_at))
                / 86400e6 AS avg_handling_days,
            avg(epoch_us(order_delivered_customer_date) - epoch_us(order_delivered_carrier_date))
                / 86400e6 AS avg_carrier_days
        FROM (
            SELECT * REPLACE (coalesce(customer_state, 'unknown') AS customer_state)
            FROM valid_orders
        )
        WHERE order_status = 'delivered' AND order_delivered_customer_date IS NOT NULL
        GROUP BY customer_state, order_month
    """,
    "churn_features": """
        WITH behaviour AS (
            SELECT
                o.customer_unique_id,
                avg(s.score) AS avg_review_score,
                count(*) FILTER (o.is_delayed) AS late_orders,
                avg(o.delivery_time_days) AS avg_delivery_days
            FROM sales AS o
            LEFT JOIN order_scores AS s ON s.order_id = o.order_id
            GROUP BY o.customer_unique_id
        ),
        payments AS (
            SELECT o.customer_unique_id, p.payment_type, p.payment_installments
            FROM sales AS o
            JOIN silver_order_payments AS p ON p.order_id = o.order_id
        ),
        instalments AS (
            SELECT customer_unique_id, avg(payment_installments) AS avg_installments
            FROM payments
            GROUP BY customer_unique_id
        ),
        preferences AS (
            SELECT customer_unique_id, payment_type AS preferred_payment_type
            FROM payments
            WHERE payment_type IS NOT NULL
            GROUP BY customer_unique_id, payment_type
            QUALIFY row_number() OVER (
                PARTITION BY customer_unique_id ORDER BY count(*) DESC, payment_type
            ) = 1
        )
        SELECT
            c.customer_unique_id,
            (SELECT as_of FROM as_of) - c.last_order_date AS recency_days,
            c.orders,
            c.revenue,
            b.avg_review_score,
            b.late_orders,
            b.avg_delivery_days,
            i.avg_installments,
            p.preferred_payment_type,
            (SELECT as_of FROM as_of) - c.last_order_date > 180 AS is_churned
        FROM gold_customer_lifetime_value AS c
        JOIN behaviour AS b USING (customer_unique_id)
        LEFT JOIN instalments AS i USING (customer_unique_id)
        LEFT JOIN preferences AS p USING (customer_unique_id)
    """,
}

# In order of dependency.
_TABLES = _GOLD | STAR | EXECUTIVE

GOLD_TABLES = tuple(_TABLES)


def build_gold(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``gold_<table>`` for each gold table out of the ``silver_<table>`` tables."""
    for name, sql in _RELATIONS.items():
        connection.execute(f"CREATE TABLE {name} AS {sql}")
    for table, sql in _TABLES.items():
        connection.execute(f"CREATE TABLE gold_{table} AS {sql}")
