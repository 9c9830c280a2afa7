"""Executive figures of olist in DuckDB, each straight from its definition.

Choices made where the specification leaves one:

- ``revenue_to_date`` and ``active_customers`` have a row for each date from the first to the newest
  ``order_date`` over all orders, valid or not; a date without a sale has revenue 0.
- A window of n days ends with its date and holds it.
- ``top_products`` ranks by revenue, then by items, then by ``product_id``; each rank is there once.
  Items without a ``product_id`` are not products.
- The cohort of a customer is the month of the first valid order with at least one item. A cohort has
  a row for each month up to that of the newest order over all orders.
"""

from __future__ import annotations

EXECUTIVE: dict[str, str] = {
    "revenue_to_date": """
        SELECT
            c.calendar_date AS order_date,
            CAST(coalesce(sum(s.revenue) FILTER (s.order_date = c.calendar_date), 0)
                AS DECIMAL(18,2)) AS revenue,
            CAST(coalesce(sum(s.revenue) FILTER (s.order_month = c.month_start), 0)
                AS DECIMAL(18,2)) AS month_to_date,
            CAST(coalesce(sum(s.revenue), 0) AS DECIMAL(18,2)) AS year_to_date
        FROM gold_dim_date AS c
        LEFT JOIN sales AS s
            ON s.order_date <= c.calendar_date AND year(s.order_date) = year(c.calendar_date)
        GROUP BY c.calendar_date
    """,
    "active_customers": """
        SELECT
            c.calendar_date AS order_date,
            count(DISTINCT s.customer_unique_id) FILTER (s.order_date = c.calendar_date)
                AS active_day,
            count(DISTINCT s.customer_unique_id) FILTER (s.order_month = c.month_start)
                AS active_month_to_date,
            count(DISTINCT s.customer_unique_id) FILTER (s.order_date > c.calendar_date - 30)
                AS active_30_days,
            count(DISTINCT s.customer_unique_id) AS active_90_days
        FROM gold_dim_date AS c
        LEFT JOIN sales AS s
            ON s.order_date BETWEEN c.calendar_date - 89 AND c.calendar_date
        GROUP BY c.calendar_date
    """,
    "top_products": """
        WITH sold AS (
            SELECT
                o.order_month,
                i.product_id,
                any_value(i.product_category) AS product_category,
                count(*) AS items,
                count(DISTINCT i.order_id) AS orders,
                CAST(sum(i.price) AS DECIMAL(18,2)) AS revenue
            FROM valid_items AS i
            JOIN valid_orders AS o ON o.order_id = i.order_id
            WHERE i.product_id IS NOT NULL
            GROUP BY o.order_month, i.product_id
        )
        SELECT
            order_month,
            row_number() OVER (
                PARTITION BY order_month ORDER BY revenue DESC, items DESC, product_id
            ) AS revenue_rank,
            * EXCLUDE (order_month)
        FROM sold
        QUALIFY revenue_rank <= 10
    """,
    "customer_cohorts": """
        WITH cohorts AS (
            SELECT
                customer_unique_id,
                CAST(date_trunc('month', first_order_date) AS DATE) AS cohort_month
            FROM gold_customer_lifetime_value
        ),
        sizes AS (
            SELECT cohort_month, count(*) AS cohort_size FROM cohorts GROUP BY cohort_month
        )
        SELECT
            z.cohort_month,
            m.month_number,
            z.cohort_size,
            count(DISTINCT s.customer_unique_id) AS active,
            CAST(count(DISTINCT s.customer_unique_id) AS DOUBLE) / z.cohort_size AS retention_rate
        FROM sizes AS z
        CROSS JOIN LATERAL (
            SELECT unnest(generate_series(
                0, date_diff('month', z.cohort_month, (SELECT as_of FROM as_of))
            )) AS month_number
        ) AS m
        JOIN cohorts AS c ON c.cohort_month = z.cohort_month
        LEFT JOIN sales AS s
            ON s.customer_unique_id = c.customer_unique_id
            AND date_diff('month', z.cohort_month, s.order_month) = m.month_number
        GROUP BY z.cohort_month, m.month_number, z.cohort_size
    """,
}
