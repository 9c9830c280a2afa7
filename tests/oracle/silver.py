"""Silver of olist in DuckDB: typing, row rules, the latest row of each key, and what is derived.

Choices made where the specification leaves one:

- Empty text is null; texts are compared as they are. A key part of white space alone is missing.
- A number is parsed only when the whole text is one: no surrounding space, underscore or
  hexadecimal. Amounts with more than two decimals are rounded half up (away from zero).
- An amount is negative when it is after rounding.
- A quarantined row changes nothing: an order accepted earlier stays in silver, and its items with
  it, when a correction of it is quarantined.
- Every version of a row whose order is unknown is in quarantine, not only its latest.
- A geolocation file replaces the prefixes of its accepted rows; a prefix all of whose rows are
  quarantined keeps the samples it had. Null city and state are not candidates for the most
  frequent one.
- An order whose customer has no ``customer_unique_id`` makes no address event.
- Limits on the share of quarantined rows are not applied: every batch counts as accepted.
"""

from __future__ import annotations

import duckdb

from tests.oracle.sources import SOURCES, Column, Kind, Source

_NUMBER = r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"
_TYPES: dict[Kind, tuple[str, str]] = {
    "integer": ("INTEGER", r"[+-]?[0-9]+([.]0*)?"),
    "money": ("DECIMAL(18,2)", _NUMBER),
    "double": ("DOUBLE", _NUMBER),
    "timestamp": (
        "TIMESTAMP",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?Z?",
    ),
}

# Tables whose rows wait for their order.
_DEPENDANTS = ("order_items", "order_payments", "order_reviews")

_EXTRA_RULES: dict[str, str] = {
    "orders": """
        WHEN CAST(order_delivered_customer_date AS DATE)
            - CAST(order_purchase_timestamp AS DATE) > 365 THEN 'delivery_too_long'""",
    "order_reviews": """
        WHEN review_score NOT BETWEEN 1 AND 5 THEN 'score_out_of_range'""",
}

_DERIVED: dict[str, str] = {
    "customers": "SELECT * FROM latest_customers",
    "sellers": "SELECT * FROM latest_sellers",
    "category_translation": "SELECT * FROM latest_category_translation",
    "order_payments": "SELECT * FROM latest_order_payments",
    "order_reviews": "SELECT * FROM latest_order_reviews",
    "orders": """
        SELECT
            o.order_id,
            o.customer_id,
            c.customer_unique_id,
            c.customer_state,
            o.order_status,
            o.order_purchase_timestamp,
            o.order_approved_at,
            o.order_delivered_carrier_date,
            o.order_delivered_customer_date,
            o.order_estimated_delivery_date,
            CAST(o.order_purchase_timestamp AS DATE) AS order_date,
            CAST(o.order_delivered_customer_date AS DATE)
                - CAST(o.order_purchase_timestamp AS DATE) AS delivery_time_days,
            CAST(o.order_delivered_customer_date AS DATE)
                > CAST(o.order_estimated_delivery_date AS DATE) AS is_delayed
        FROM latest_orders AS o
        LEFT JOIN latest_customers AS c ON c.customer_id = o.customer_id
    """,
    "products": """
        SELECT
            p.product_id,
            p.product_category_name,
            coalesce(t.product_category_name_english, p.product_category_name, 'unknown')
                AS product_category,
            p.* EXCLUDE (product_id, product_category_name)
        FROM latest_products AS p
        LEFT JOIN latest_category_translation AS t
            ON t.product_category_name = p.product_category_name
    """,
    "order_items": """
        SELECT
            i.order_id,
            i.order_item_id,
            i.product_id,
            i.seller_id,
            coalesce(p.product_category, 'unknown') AS product_category,
            s.seller_state,
            i.shipping_limit_date,
            i.price,
            i.freight_value
        FROM latest_order_items AS i
        LEFT JOIN silver_products AS p ON p.product_id = i.product_id
        LEFT JOIN latest_sellers AS s ON s.seller_id = i.seller_id
    """,
    # Of several events at one instant the last by order_id counts; then an event starts a span
    # when it differs from the event before it.
    "customer_addresses": """
        WITH events AS (
            SELECT
                c.customer_unique_id,
                o.order_purchase_timestamp AS event_time,
                struct_pack(
                    zip := c.customer_zip_code_prefix,
                    city := c.customer_city,
                    state := c.customer_state
                ) AS address
            FROM latest_orders AS o
            JOIN latest_customers AS c ON c.customer_id = o.customer_id
            WHERE c.customer_unique_id IS NOT NULL
            QUALIFY row_number() OVER (
                PARTITION BY c.customer_unique_id, o.order_purchase_timestamp
                ORDER BY o.order_id DESC
            ) = 1
        ),
        compared AS (
            SELECT
                *,
                row_number() OVER history = 1
                    OR address.zip IS DISTINCT FROM lag(address.zip) OVER history
                    OR address.city IS DISTINCT FROM lag(address.city) OVER history
                    OR address.state IS DISTINCT FROM lag(address.state) OVER history AS starts
            FROM events
            WINDOW history AS (PARTITION BY customer_unique_id ORDER BY event_time)
        )
        SELECT
            customer_unique_id,
            address.zip AS customer_zip_code_prefix,
            address.city AS customer_city,
            address.state AS customer_state,
            event_time AS valid_from,
            lead(event_time) OVER span AS valid_to,
            lead(event_time) OVER span IS NULL AS is_current
        FROM compared
        WHERE starts
        WINDOW span AS (PARTITION BY customer_unique_id ORDER BY event_time)
    """,
    "geolocation": """
        WITH samples AS (
            SELECT *
            FROM accepted_geolocation
            QUALIFY _file_number = max(_file_number) OVER (PARTITION BY zip_code_prefix)
        ),
        cities AS (
            SELECT zip_code_prefix, city
            FROM samples
            WHERE city IS NOT NULL
            GROUP BY zip_code_prefix, city
            QUALIFY row_number() OVER (
                PARTITION BY zip_code_prefix ORDER BY count(*) DESC, city
            ) = 1
        ),
        states AS (
            SELECT zip_code_prefix, state
            FROM samples
            WHERE state IS NOT NULL
            GROUP BY zip_code_prefix, state
            QUALIFY row_number() OVER (
                PARTITION BY zip_code_prefix ORDER BY count(*) DESC, state
            ) = 1
        )
        SELECT
            s.zip_code_prefix,
            avg(s.latitude) AS latitude,
            avg(s.longitude) AS longitude,
            any_value(c.city) AS city,
            any_value(t.state) AS state,
            count(*) AS samples
        FROM samples AS s
        LEFT JOIN cities AS c ON c.zip_code_prefix = s.zip_code_prefix
        LEFT JOIN states AS t ON t.zip_code_prefix = s.zip_code_prefix
        GROUP BY s.zip_code_prefix
    """,
}

SILVER_TABLES = tuple(_DERIVED)


def build_silver(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``silver_<table>`` and ``quarantine_<source>`` out of the ``text_<source>`` tables."""
    for table, source in SOURCES.items():
        connection.execute(f"CREATE TABLE typed_{table} AS {_typed_sql(table, source)}")
    connection.execute(
        "CREATE VIEW known_orders AS SELECT order_id FROM typed_orders WHERE _rule IS NULL"
    )
    for table, source in SOURCES.items():
        connection.execute(f"CREATE VIEW ruled_{table} AS {_ruled_sql(table)}")
        connection.execute(
            f"CREATE VIEW accepted_{table} AS "
            f"SELECT * EXCLUDE (_rule) FROM ruled_{table} WHERE _rule IS NULL"
        )
        if table != "geolocation":  # its rows are samples, not versions of one row
            connection.execute(f"CREATE TABLE latest_{table} AS {_latest_sql(table, source)}")
        connection.execute(
            f"""CREATE TABLE quarantine_{table} AS
            SELECT _file AS source_file, _record AS record, _rule AS rule
            FROM ruled_{table} WHERE _rule IS NOT NULL ORDER BY _file_number, _record"""
        )
    for table, sql in _DERIVED.items():
        connection.execute(f"CREATE TABLE silver_{table} AS {sql}")


def _typed_sql(table: str, source: Source) -> str:
    """Typed columns, and ``_rule``: the first rule that a row breaks by itself, else null."""
    names = [column.name for column in source.columns]
    typed = [f"{_parsed(column)} AS {column.name}" for column in source.columns]
    raw = [f"{name} AS raw_{name}" for name in names]
    missing = [rf"coalesce(regexp_full_match(raw_{key}, '\s*'), true)" for key in source.key]
    unparsed = [f"(raw_{name} IS NOT NULL AND {name} IS NULL)" for name in names]
    required = [f"{column.name} IS NULL" for column in source.columns if column.required]
    negative = [f"{column.name} < 0" for column in source.columns if column.non_negative]
    return f"""
        SELECT {", ".join(names)}, _file, _file_number, _record,
            CASE
                WHEN {_any(missing)} THEN 'key_missing'
                WHEN {_any(unparsed)} THEN 'not_parseable'
                WHEN {_any(required)} THEN 'required_missing'
                WHEN {_any(negative)} THEN 'negative_amount'
                {_EXTRA_RULES.get(table, "")}
            END AS _rule
        FROM (
            SELECT {", ".join([*typed, *raw])}, _file, _file_number, _record
            FROM text_{table}
        )
    """


def _ruled_sql(table: str) -> str:
    if table not in _DEPENDANTS:
        return f"SELECT * FROM typed_{table}"
    return f"""
        SELECT * REPLACE (
            CASE
                WHEN _rule IS NOT NULL THEN _rule
                WHEN order_id NOT IN (FROM known_orders) THEN 'reference_missing'
            END AS _rule
        )
        FROM typed_{table}
    """


def _latest_sql(table: str, source: Source) -> str:
    return f"""
        SELECT * EXCLUDE (_file, _file_number, _record)
        FROM accepted_{table}
        QUALIFY row_number() OVER (
            PARTITION BY {", ".join(source.key)} ORDER BY _file_number DESC, _record DESC
        ) = 1
    """


def _parsed(column: Column) -> str:
    if column.kind == "text":
        return column.name
    type_name, form = _TYPES[column.kind]
    return (
        f"CASE WHEN regexp_full_match({column.name}, '{form}') "
        f"THEN try_cast({column.name} AS {type_name}) END"
    )


def _any(conditions: list[str]) -> str:
    return " OR ".join(conditions) or "false"
