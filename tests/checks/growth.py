"""Good rows of the growth domain and defects that its checks find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.checks.suites import Defect, Row, Suites

AT, DAY, WEEK = "'2024-01-01 10:00:00'", "'2024-01-01'", "'2024-01-01'"

GOOD: Mapping[str, Row] = {
    "silver.visits": {
        "visit_id": "'v1'", "visitor_id": "'a'", "channel": "'email'", "cost": "0.50",
        "visited_at": AT, "visit_date": DAY,
    },
    "silver.signups": {
        "user_id": "'u1'", "visitor_id": "'a'", "signed_up_at": AT, "country": "'US'",
        "signup_date": DAY,
    },
    "silver.product_events": {
        "event_id": "'e1'", "user_id": "'u1'", "event_type": "'export'", "event_ts": AT,
        "event_date": DAY,
    },
    "silver.experiments": {
        "assignment_id": "'a1'", "experiment": "'price'", "variant": "'control'",
        "user_id": "'u1'", "assigned_at": AT,
    },
    "silver.billing": {
        "invoice_id": "'i1'", "user_id": "'u1'", "amount": "10.00", "status": "'paid'",
        "issued_at": AT, "paid_at": AT, "updated_at": AT, "paid_date": DAY,
    },
    "silver.support_tickets": {
        "ticket_id": "'t1'", "user_id": "'u1'", "priority": "'low'", "opened_at": AT,
        "resolved_at": AT, "csat": "5", "updated_at": AT, "opened_date": DAY,
    },
    "gold.calendar": {"date": DAY},
    "gold.daily_kpis": {
        "date": DAY, "visits": "1", "visitors": "1", "signups": "1", "active_users": "1",
        "paid_invoices": "1", "revenue": "10.00", "tickets_opened": "1", "signup_rate": "1",
    },
    "gold.visitor_journeys": {
        "visitor_id": "'a'", "channel": "'email'", "week": WEEK, "first_visit_at": AT,
        "visits": "1", "signups": "1", "activated": "true", "paid": "true",
        "activated_paid": "true", "customers": "1", "revenue": "10.00",
    },
    "gold.conversion_funnel": {
        "channel": "'email'", "week": WEEK, "visitors": "4", "signed_up": "2", "activated": "1",
        "paid": "2", "activated_paid": "1", "signup_rate": "0.5", "activation_rate": "0.5",
        "paid_rate": "1",
    },
    "gold.channel_performance": {
        "channel": "'email'", "visitors": "1", "signups": "1", "customers": "1",
        "revenue": "10.00", "cost": "0.50", "cac": "0.5", "roas": "20",
    },
    "gold.revenue": {
        "month": DAY, "invoices": "1", "invoiced": "10.00", "collected": "10.00",
        "refunded": "0", "paying_users": "1", "arpu": "10",
    },
    "gold.customer_health": {
        "user_id": "'u1'", "active_days_30": "1", "open_tickets": "0", "overdue_invoices": "0",
        "revenue_90d": "10.00", "health_score": "54", "risk_band": "'medium'",
    },
    "gold.experiment_performance": {
        "experiment": "'price'", "variant": "'control'", "users": "2", "conversions": "1",
        "conversion_rate": "0.5",
    },
}  # fmt: skip
CONTROL = {"variant": "'new'", "uplift": "0", "z": "0", "p_value": "1", "ci_low": "-1"}
TESTED = "the interval holds the difference, whose sign is that of z"
DEFECTS: Sequence[Defect] = [
    ("bronze.billing", [{}, {}], ["files are complete", "each record is staged once"]),
    ("silver.visits", [{}, {}], ["published visit_id is unique"]),
    ("silver.visits", [{"cost": "-0.01"}], ["cost is not negative"]),
    ("silver.visits", [{"channel": "NULL"}], ["warn: most visits have a channel"]),
    (
        "silver.visits",
        [{"visited_at": "'2023-12-30 23:59:59'", "visit_date": "'2023-12-30'"}],
        ["warn: the newest visit is recent as of the run"],
    ),
    ("silver.signups", [{"country": "'us'"}], ["warn: country has two letters"]),
    ("silver.signups", [{"visitor_id": "NULL"}], ["warn: most users were visitors"]),
    ("silver.product_events", [{"event_date": "'2024-01-02'"}],
     ["event_date is the date of event_ts"]),
    ("silver.experiments", [{"variant": "NULL"}],
     ["experiment, variant, user and instant are given"]),
    ("silver.billing", [{"status": "'void'", "paid_date": "NULL"}], ["status is known"]),
    ("silver.billing", [{"paid_date": "NULL"}],
     ["paid_date is given for paid invoices, and only then"]),
    ("silver.billing", [{"paid_at": "'2024-01-01 09:59:59'"}],
     ["warn: nothing is paid before it is issued"]),
    ("silver.support_tickets", [{"priority": "'critical'"}], ["warn: priority is known"]),
    ("silver.support_tickets", [{"csat": "6"}], ["csat is 1 to 5"]),
    ("silver.support_tickets", [{"resolved_at": "NULL"}], ["warn: only resolved tickets are rated"]),
    ("gold.calendar", [{}, {"date": "'2024-01-03'"}], ["no day is missing"]),
    (
        "gold.calendar",
        [{"date": f"DATE_ADD(DATE'2009-01-01', {day})"} for day in range(5480)],
        ["warn: the days span at most fifteen years"],
    ),
    ("gold.calendar", [{}, {}], ["date is unique", "no day is missing"]),
    ("gold.daily_kpis", [{"revenue": "9.99"}],
     ["revenue adds up to the paid invoices of silver"]),
    ("gold.daily_kpis", [{"signup_rate": "NULL"}], ["signup_rate is signups by visitors"]),
    ("gold.daily_kpis", [{"visitors": "2", "signup_rate": "0.5"}],
     ["counts and revenue are given and not negative"]),
    ("gold.visitor_journeys", [{"signups": "0", "customers": "0", "revenue": "0"}],
     ["steps follow from signups"]),
    ("gold.visitor_journeys", [{"week": "'2024-01-02'"}],
     ["channel and first visit are given, the week is its Monday"]),
    ("gold.conversion_funnel", [{"activated": "3"}],
     ["no step has more visitors than the one before"]),
    ("gold.conversion_funnel", [{"paid_rate": "NULL"}],
     ["rates are 0 to 1, and null where nobody came so far"]),
    ("gold.conversion_funnel", [{}, {"week": "'2024-01-08'"}], []),
    ("gold.channel_performance", [{"cost": "0.51"}], ["cost adds up to the visits of silver"]),
    ("gold.channel_performance", [{"roas": "NULL"}],
     ["cac and roas are null where their divisor is 0, and only there"]),
    ("gold.revenue", [{"refunded": "0.01"}],
     ["collected and refunded are parts of invoiced"]),
    ("gold.revenue", [{}, {}],
     ["month is unique", "invoiced adds up to the invoices of silver"]),
    ("gold.customer_health", [{"risk_band": "'low'"}], ["risk_band follows from health_score"]),
    ("gold.customer_health", [{"health_score": "3.9", "risk_band": "'high'"}],
     ["health_score is given and 4 to 100"]),
    ("gold.experiment_performance", [{"uplift": "0"}],
     ["control is not compared with itself"]),
    ("gold.experiment_performance", [{}, {**CONTROL, "ci_high": "1"}], []),
    ("gold.experiment_performance", [{}, {**CONTROL, "ci_high": "NULL"}], [TESTED]),
    ("gold.experiment_performance", [{}, {**CONTROL, "ci_high": "1", "p_value": "NULL"}],
     ["p_value is a probability, given where z is"]),
    ("gold.experiment_performance", [{"variant": "'new'"}], ["warn: each experiment has a control"]),
]  # fmt: skip
GROWTH = Suites(
    "growth",
    "2024-01-02T00:00:00+00:00",
    GOOD,
    DEFECTS,
    without_rows={"silver.visits": ["warn: the newest visit is recent as of the run"]},
)
