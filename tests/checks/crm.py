"""Good rows of the crm domain and defects that its checks find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.checks.suites import Defect, Row, Suites

AT, NEXT_DAY, DAY = "'2024-01-01 10:00:00'", "'2024-01-02 00:00:00'", "'2024-01-01'"

GOOD: Mapping[str, Row] = {
    "silver.contacts": {
        "contact_id": "'1'", "email": "'a@example.com'", "created_at": AT, "updated_at": AT,
    },
    "silver.deals": {
        "deal_id": "'d1'", "contact_id": "'1'", "stage": "'contractsent'", "amount": "10.00",
        "probability": "0.9", "is_closed": "false", "is_won": "false", "updated_at": AT,
    },
    "silver.deals_history": {
        "deal_id": "'d1'", "stage": "'contractsent'", "valid_from": AT, "is_current": "true",
    },
    "silver.customers": {
        "customer_id": "'c1'", "segment": "'consumer'", "country": "'US'",
        "email": "'A@example.com'", "valid_from": AT, "is_current": "true",
    },
    "silver.orders": {
        "order_id": "'o1'", "customer_id": "'c1'", "ordered_at": AT, "order_date": DAY,
        "amount": "10.00", "currency": "'EUR'", "status": "'partially_refunded'",
        "refunded_amount": "4.00", "updated_at": AT,
    },
    "silver.behavior": {
        "behavior_id": "'b1'", "customer_id": "'c1'", "action": "'view'", "occurred_at": AT,
    },
    "silver.events": {
        "event_id": "'e1'", "customer_id": "'c1'", "event_type": "'login'", "occurred_at": AT,
    },
    "silver.fx_deliveries": {"date": DAY, "currency": "'EUR'", "usd_rate": "1.1"},
    "silver.fx_rates": {
        "date": DAY, "currency": "'EUR'", "usd_rate": "1.1", "rate_date": DAY,
    },
    "gold.dim_date": {
        "date": DAY, "day_of_week": "1", "day_name": "'Monday'", "is_weekend": "false",
    },
    "gold.dim_contact": {"contact_id": "'1'"},
    "gold.dim_customer": {
        "customer_sk": "'unknown'", "segment": "'unknown'", "is_current": "true",
    },
    "gold.fct_orders": {
        "order_id": "'o1'", "customer_id": "'c1'", "customer_sk": "'unknown'",
        "segment": "'unknown'", "ordered_at": AT, "order_date": DAY, "amount": "10.00",
        "currency": "'EUR'", "usd_rate": "1.1", "amount_usd": "11.00", "refunded_usd": "4.40",
    },
    "gold.revenue_by_segment": {
        "month": DAY, "segment": "'unknown'", "orders": "1", "gross_usd": "11.00",
        "refunded_usd": "4.40", "net_usd": "6.60",
    },
    "gold.deal_pipeline": {
        "stage": "'contractsent'", "deals": "1", "amount": "10.00", "weighted_amount": "9.00",
        "avg_days_in_stage": "1", "win_rate": "0.5",
    },
    "gold.customer_360": {
        "customer_id": "'c1'", "email": "'a@example.com'", "contact_id": "'1'",
        "open_deals": "1", "orders": "1", "net_revenue_usd": "6.60", "last_behavior": "'view'",
        "last_behavior_at": AT, "sessions_30d": "1",
    },
}  # fmt: skip
SPANS = "neighbouring spans of a {} neither overlap nor repeat their values"
DEFECTS: Sequence[Defect] = [
    ("bronze.orders", [{}, {}], ["files are complete", "each record is staged once"]),
    ("silver.contacts", [{}, {}], ["published contact_id is unique"]),
    ("silver.contacts", [{"email": "NULL"}], ["warn: most contacts have an email"]),
    ("silver.contacts", [{"updated_at": "'2024-01-01 09:00:00'"}],
     ["warn: no contact is changed before being created"]),
    ("silver.deals", [{}, {}], ["published deal_id is unique"]),
    ("silver.deals", [{"probability": "NULL"}], ["probability is 0 to 1"]),
    ("silver.deals", [{"probability": "1"}], ["warn: a deal is won or lost with certainty"]),
    ("silver.deals", [{"contact_id": "NULL"}], ["warn: most deals name their contact"]),
    ("silver.deals", [{"amount": "-1"}], ["warn: amount is not negative"]),
    ("silver.deals_history", [{"valid_to": AT, "is_current": "false"}],
     ["each span ends after it starts"]),
    ("silver.deals_history", [{"valid_to": NEXT_DAY, "is_current": "false"}, {"valid_from": NEXT_DAY}],
     [SPANS.format("deal")]),
    ("silver.customers", [{"valid_to": NEXT_DAY, "is_current": "false"}, {"valid_from": NEXT_DAY}],
     [SPANS.format("customer")]),
    ("silver.customers",
     [{"valid_to": NEXT_DAY, "is_current": "false"},
      {"valid_from": NEXT_DAY, "segment": "'business'"}], []),
    ("silver.customers", [{"country": "'Germany'"}], ["warn: country is two letters"]),
    ("silver.customers", [{"is_current": "false"}],
     ["is_current is given and says that the span is open"]),
    ("silver.orders", [{}, {}], ["published order_id is unique"]),
    ("silver.orders", [{"refunded_amount": "11.00"}],
     ["what was paid back is given and part of the amount"]),
    ("silver.orders", [{"refunded_amount": "0", "status": "'paid'"}], []),
    ("silver.orders", [{"status": "'paid'"}], ["warn: the status says what was paid back"]),
    ("silver.orders", [{"status": "'lost'"}], ["warn: status is known"]),
    ("silver.orders", [{"order_date": "'2024-01-02'"}], ["order_date is the day of ordered_at"]),
    ("silver.orders", [{"updated_at": "'2023-12-30 23:59:59'"}],
     ["warn: the newest change is recent as of the run"]),
    ("silver.behavior", [{}, {}], ["published behavior_id is unique"]),
    ("silver.events", [{"event_type": "NULL"}], ["event_type is given"]),
    ("silver.fx_deliveries", [{}, {}], ["published key is unique"]),
    ("silver.fx_deliveries", [{"usd_rate": "0"}], ["usd_rate is given and above 0"]),
    ("silver.fx_deliveries", [{"currency": "'USD'"}], ["a dollar is a dollar"]),
    ("silver.fx_deliveries", [{}, {"date": "'2024-01-02'", "usd_rate": "110"}],
     ["warn: no rate is ten times the one before it, or a tenth"]),
    ("silver.fx_rates", [{"usd_rate": "1.2"}], ["each rate is the last known one of its day"]),
    ("silver.fx_rates", [{}, {"date": "'2024-01-03'"}], ["the days of a currency have no gaps"]),
    ("silver.fx_rates", [{"date": "'2024-01-02'"}],
     ["each rate that was delivered is there on its day"]),
    ("gold.dim_date", [{"day_name": "'Sunday'"}], ["weekends are Saturday and Sunday"]),
    ("gold.dim_contact", [{"contact_id": "'2'"}], ["each contact is in silver"]),
    ("gold.dim_customer", [{"customer_sk": "'k1'", "customer_id": "'c1'"}],
     ["the member unknown is there"]),
    ("gold.dim_customer", [{}, {"customer_sk": "'k1'", "customer_id": "'c1'", "is_current": "false"}],
     ["each customer has one current span"]),
    ("gold.fct_orders", [{"customer_sk": "'k1'"}],
     ["each order has its customer in the dimension"]),
    ("gold.fct_orders", [{"segment": "'consumer'"}], ["each order has the segment of its customer"]),
    ("gold.fct_orders", [{"amount": "10.01"}], ["amounts add up to the orders of silver"]),
    ("gold.fct_orders", [{"currency": "'USD'"}], ["an order in dollars keeps its amount"]),
    ("gold.fct_orders", [{"amount_usd": "NULL"}],
     ["an order without a rate has no amounts in dollars, every other has"]),
    ("gold.fct_orders", [{"usd_rate": "NULL", "amount_usd": "NULL", "refunded_usd": "NULL"}],
     ["warn: every order has a rate"]),
    ("gold.revenue_by_segment", [{"net_usd": "11.00"}],
     ["net is gross less what was paid back"]),
    ("gold.revenue_by_segment", [{"gross_usd": "12.00", "net_usd": "7.60"}],
     ["gross adds up to the orders"]),
    ("gold.deal_pipeline", [{"deals": "2"}], ["each deal is in one stage"]),
    ("gold.deal_pipeline", [{"win_rate": "1.5"}], ["win_rate is 0 to 1"]),
    ("gold.customer_360", [{"contact_id": "NULL"}], ["only a customer with a contact has deals"]),
    ("gold.customer_360", [{"orders": "2"}], ["orders add up to those of the customers"]),
    ("gold.customer_360", [{"email": "'A@example.com'"}], ["email is in lower case"]),
]  # fmt: skip
CRM = Suites(
    "crm",
    "2024-01-02T00:00:00+00:00",
    GOOD,
    DEFECTS,
    without_rows={"silver.orders": ["warn: the newest change is recent as of the run"]},
)
