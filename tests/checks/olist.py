"""Good rows of the olist domain and defects that its checks find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.checks.suites import Defect, Row, Suites

GOOD: Mapping[str, Row] = {
    "silver.orders": {
        "order_id": "'o1'", "customer_unique_id": "'u1'", "customer_state": "'SP'",
        "order_status": "'delivered'", "order_purchase_timestamp": "'2018-10-16 10:00:00'",
        "order_delivered_customer_date": "'2018-10-20 09:00:00'",
        "order_estimated_delivery_date": "'2018-10-30'", "order_date": "'2018-10-16'",
        "delivery_time_days": "4", "is_delayed": "false",
    },
    "silver.order_items": {
        "order_id": "'o1'", "order_item_id": "1", "product_id": "'p1'", "seller_id": "'s1'",
        "product_category": "'toys'", "seller_state": "'RJ'", "price": "10.50",
        "freight_value": "0",
    },
    "silver.order_payments": {
        "order_id": "'o1'", "payment_sequential": "1", "payment_type": "'boleto'",
        "payment_installments": "0", "payment_value": "10.50",
    },
    "silver.order_reviews": {"review_id": "'r1'", "order_id": "'o1'", "review_score": "5"},
    "silver.customers": {
        "customer_id": "'c1'", "customer_unique_id": "'u1'", "customer_zip_code_prefix": "'01012'",
        "customer_state": "'SP'",
    },
    "silver.customer_addresses": {
        "customer_unique_id": "'u1'", "customer_zip_code_prefix": "'01012'",
        "customer_state": "'SP'", "valid_from": "'2018-10-16 10:00:00'", "is_current": "true",
    },
    "silver.products": {
        "product_id": "'p1'", "product_category_name": "'brinquedos'", "product_category": "'toys'",
        "product_weight_g": "0",
    },
    "silver.sellers": {
        "seller_id": "'s1'", "seller_zip_code_prefix": "'20000'", "seller_state": "'RJ'",
    },
    "silver.geolocation": {
        "zip_code_prefix": "'01012'", "latitude": "-23.5", "longitude": "-46.6",
        "city": "'sao paulo'", "state": "'SP'", "samples": "3",
    },
    "silver.category_translation": {
        "product_category_name": "'brinquedos'", "product_category_name_english": "'toys'",
    },
    "gold.daily_revenue": {
        "order_date": "'2018-10-16'", "orders": "1", "items": "1", "customers": "1",
        "revenue": "10.50", "freight": "0", "avg_order_value": "10.5",
    },
    "gold.monthly_revenue": {"order_month": "'2018-10-01'", "orders": "1", "revenue": "10.50"},
    "gold.customer_lifetime_value": {
        "customer_unique_id": "'u1'", "orders": "1", "revenue": "10.50", "avg_order_value": "10.5",
        "first_order_date": "'2018-10-16'", "last_order_date": "'2018-10-16'", "active_months": "1",
        "purchase_frequency": "1",
    },
    "gold.customer_segments": {
        "customer_unique_id": "'u1'", "recency_days": "0", "frequency": "1", "monetary": "10.50",
        "r_score": "5", "f_score": "1", "m_score": "1", "segment": "'recent'",
    },
    "gold.product_performance": {
        "product_category": "'toys'", "products": "1", "items": "1", "orders": "1",
        "revenue": "10.50", "avg_price": "10.5", "avg_review_score": "5", "revenue_rank": "1",
    },
    "gold.seller_performance": {
        "seller_id": "'s1'", "orders": "1", "items": "1", "revenue": "10.50", "on_time_rate": "1",
        "revenue_rank": "1",
    },
    "gold.delivery_sla": {
        "customer_state": "'SP'", "order_month": "'2018-10-01'", "delivered_orders": "1",
        "on_time_orders": "1", "on_time_rate": "1", "avg_delivery_days": "4",
        "p90_delivery_days": "4",
    },
    "gold.churn_features": {
        "customer_unique_id": "'u1'", "recency_days": "1", "orders": "1", "revenue": "10.50",
        "late_orders": "0", "preferred_payment_type": "'boleto'", "is_churned": "false",
    },
    "gold.revenue_to_date": {
        "order_date": "'2018-10-16'", "revenue": "10.50", "month_to_date": "10.50",
        "year_to_date": "10.50",
    },
    "gold.active_customers": {
        "order_date": "'2018-10-16'", "active_day": "1", "active_month_to_date": "1",
        "active_30_days": "1", "active_90_days": "1",
    },
    "gold.top_products": {
        "order_month": "'2018-10-01'", "revenue_rank": "1", "product_id": "'p1'",
        "product_category": "'toys'", "items": "1", "orders": "1", "revenue": "10.50",
    },
    "gold.customer_cohorts": {
        "cohort_month": "'2018-10-01'", "month_number": "0", "cohort_size": "1", "active": "1",
        "retention_rate": "1",
    },
    "gold.dim_date": {
        "date_key": "20181016", "calendar_date": "'2018-10-16'", "day_of_week": "2",
        "day_name": "'Tuesday'", "is_weekend": "false",
    },
    "gold.dim_customer": {
        "customer_key": "'k1'", "customer_unique_id": "'u1'", "customer_zip_code_prefix": "'01012'",
        "customer_city": "'unknown'", "customer_state": "'SP'",
        "valid_from": "'2018-10-16 10:00:00'", "is_current": "true",
    },
    "gold.dim_product": {
        "product_key": "'k1'", "product_id": "'p1'", "product_category": "'toys'",
        "is_inferred": "false",
    },
    "gold.dim_seller": {
        "seller_key": "'k1'", "seller_id": "'s1'", "seller_state": "'RJ'", "is_inferred": "false",
    },
    "gold.fct_order_items": {
        "order_id": "'o1'", "order_item_id": "1", "date_key": "20181016", "customer_key": "'k1'",
        "product_key": "'k1'", "seller_key": "'k1'", "order_status": "'delivered'",
        "price": "10.50", "freight_value": "0",
    },
}  # fmt: skip
BESIDE: Mapping[str, Row] = {
    "gold.dim_customer": {
        "customer_key": "'unknown'", "customer_zip_code_prefix": "'unknown'",
        "customer_city": "'unknown'", "customer_state": "'unknown'", "is_current": "true",
    },
    "gold.dim_product": {
        "product_key": "'unknown'", "product_category": "'unknown'", "is_inferred": "false",
    },
    "gold.dim_seller": {
        "seller_key": "'unknown'", "seller_state": "'unknown'", "is_inferred": "false",
    },
}  # fmt: skip
"""The unknown members, which a dimension has whatever else is in it."""

ADDRESS = "silver.customer_addresses"
SPANS = "neighbouring spans of a customer neither overlap nor repeat the address"
CLOSED: Row = {
    "valid_from": "'2018-01-01'", "valid_to": "'2018-10-16 10:00:00'", "is_current": "false",
}  # fmt: skip
FACT = "gold.fct_order_items"
SUMS = [
    "sums by date are those of daily_revenue",
    "sums by category are those of product_performance",
    "sums by seller are those of seller_performance",
    "sums by person are those of customer_lifetime_value",
]

DEFECTS: Sequence[Defect] = [
    ("bronze.orders", [{}, {}], ["files are complete", "each record is staged once"]),
    ("bronze.orders", [{"_record_hash": "NULL"}], ["_record_hash is given"]),
    ("bronze.orders", [{"_quality_flag": "'fine'"}],
     ["_quality_flag is known", "warn: few records are suspect"]),
    ("bronze.orders", [{"_quality_flag": "'suspect'"}], ["warn: few records are suspect"]),
    ("silver.orders", [{}, {}], ["published order_id is unique"]),
    ("silver.orders", [{"order_status": "'lost'"}], ["order_status is known"]),
    ("silver.orders", [{"order_date": "'2018-10-15'"}], ["order_date is the date of purchase"]),
    ("silver.orders", [{"delivery_time_days": "366"}], ["delivery takes at most a year"]),
    ("silver.orders", [{"order_purchase_timestamp": "'2018-10-09'", "order_date": "'2018-10-09'"}],
     ["warn: the newest order is recent as of the run"]),
    ("silver.orders", [{"is_delayed": "NULL"}],
     ["is_delayed is given when delivered with an estimate, and only then"]),
    ("silver.order_items", [{"price": "-0.01"}], ["price is not negative"]),
    ("silver.order_items", [{"order_id": "'o2'"}], ["the order of each item is in silver"]),
    ("silver.order_items", [{}, {}], ["published key is unique"]),
    ("silver.order_items", [{}, {"order_item_id": "2"}], []),
    ("silver.order_payments", [{"payment_type": "'cash'"}], ["payment_type is known"]),
    ("silver.order_reviews", [{"review_score": "6"}], ["review_score is 1 to 5"]),
    ("silver.order_reviews", [{}, {"review_id": "'r2'"}], []),
    ("silver.customers", [{"customer_state": "'XX'"}], ["customer_state is a state"]),
    ("silver.customers", [{"customer_zip_code_prefix": "'1012'"}],
     ["warn: customer_zip_code_prefix has five digits"]),
    (ADDRESS, [{**CLOSED, "customer_zip_code_prefix": "'99999'"}, {}], []),
    (ADDRESS, [CLOSED, {}], [SPANS]),
    (ADDRESS, [{**CLOSED, "valid_to": "'2018-10-17'", "customer_state": "'RJ'"}, {}], [SPANS]),
    (ADDRESS, [{"valid_to": "'2018-10-16 10:00:00'", "is_current": "false"}],
     ["each span ends after it starts", "each customer has one current address"]),
    (ADDRESS, [{"customer_state": "'RJ'", "valid_from": "'2018-01-01'"}, {}],
     ["each customer has one current address", SPANS]),
    (ADDRESS, [{"is_current": "false"}],
     ["is_current is given and says that the span is open", "each customer has one current address"]),
    ("silver.products", [{"product_length_cm": "-1"}],
     ["lengths, counts and sizes are not negative"]),
    ("silver.sellers", [{"seller_state": "'XX'"}], ["seller_state is a state"]),
    ("silver.geolocation", [{"latitude": "41.5"}], ["warn: prefixes lie in Brazil"]),
    ("silver.category_translation", [{"product_category_name_english": "NULL"}],
     ["warn: product_category_name_english is given"]),
    ("gold.daily_revenue", [{}, {}],
     ["order_date is unique", "revenue adds up to the items of silver"]),
    ("gold.daily_revenue", [{"revenue": "10.49", "avg_order_value": "10.49"}],
     ["revenue adds up to the items of silver"]),
    ("gold.monthly_revenue", [{"revenue_prev_year": "5"}],
     ["revenue_prev_year is the revenue of that month"]),
    ("gold.customer_lifetime_value", [{"active_months": "2", "purchase_frequency": "0.5"}],
     ["active_months is 1 to orders"]),
    ("gold.customer_segments", [{"segment": "'vip'"}], ["segment is known"]),
    ("gold.product_performance", [{"avg_price": "10.49"}], ["avg_price is revenue by items"]),
    ("gold.seller_performance", [{"on_time_rate": "1.01"}], ["on_time_rate is 0 to 1"]),
    ("gold.delivery_sla", [{"on_time_orders": "2"}], ["each group has deliveries, on time or not"]),
    ("gold.churn_features", [{"is_churned": "true"}],
     ["is_churned says that the last order is older than 180 days"]),
    ("gold.revenue_to_date", [{"order_date": "'2018-10-17'"}],
     ["each day of the calendar has a row"]),
    ("gold.revenue_to_date", [{"year_to_date": "10.51"}],
     ["each day adds its revenue, and months and years begin anew"]),
    ("gold.active_customers", [{"active_30_days": "2"}], ["a longer time has no fewer customers"]),
    ("gold.top_products", [{}, {"product_id": "'p2'", "revenue_rank": "2", "revenue": "10.51"}],
     ["ranks are 1 to at most 10, highest revenue first"]),
    ("gold.customer_cohorts", [{}, {"month_number": "1", "active": "0", "retention_rate": "0"}],
     ["each cohort has one size and a row for each month up to the newest order"]),
    ("gold.dim_date", [{}, {"date_key": "20181018", "calendar_date": "'2018-10-18'"}],
     ["every day from the first to the newest order has a row"]),
    ("gold.dim_customer", [{}, {"customer_key": "'k2'"}],
     ["each customer has one current address"]),
    ("gold.dim_product", [{"product_key": "'unknown'"}],
     ["product_key is unique", "every member but unknown has its product_id"]),
    ("gold.dim_seller", [{"is_inferred": "true"}],
     ["seller_state is given, for inferred sellers as unknown"]),
    (FACT, [{"price": "10.49"}], [*SUMS]),
    (FACT, [{"date_key": "20181017"}], [SUMS[0]]),
    (FACT, [{"customer_key": "'unknown'"}], [SUMS[3]]),
    (FACT, [{"product_key": "'unknown'"}], [SUMS[1]]),
    (FACT, [{"seller_key": "'k9'"}], [SUMS[2]]),
    (FACT, [{"order_status": "'canceled'"}], ["the order is valid"]),
]  # fmt: skip

OLIST = Suites(
    "olist",
    "2018-10-17T00:00:00+00:00",
    GOOD,
    DEFECTS,
    without_rows={"silver.orders": ["warn: the newest order is recent as of the run"]},
    beside=BESIDE,
)
