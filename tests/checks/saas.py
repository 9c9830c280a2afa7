"""Good rows of the saas domain and defects that its checks find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.checks.suites import Defect, Row, Suites

AT, MONTH = "'2024-01-01 10:00:00'", "'2024-01-01'"
NEXT_DAY = "'2024-01-02 00:00:00'"

GOOD: Mapping[str, Row] = {
    "silver.users": {
        "user_id": "'u1'", "email": "'u1@example.com'", "country": "'US'", "created_at": AT,
        "updated_at": AT,
    },
    "silver.subscriptions": {
        "subscription_id": "'s1'", "user_id": "'u1'", "plan": "'team'", "status": "'active'",
        "monthly_price": "10.00", "started_at": AT, "changed_at": AT, "user_country": "'US'",
    },
    "silver.subscriptions_history": {
        "subscription_id": "'s1'", "user_id": "'u1'", "plan": "'team'", "status": "'active'",
        "monthly_price": "10.00", "valid_from": AT, "is_current": "true",
    },
    "silver.subscriptions_history__events": {"subscription_id": "'s1'", "changed_at": AT},
    "silver.events": {
        "event_id": "'e1'", "user_id": "'u1'", "event_type": "'login'", "event_ts": AT,
    },
    "silver.invoices": {
        "invoice_id": "'i1'", "subscription_id": "'s1'", "amount": "10.00", "issued_at": AT,
        "paid_at": AT, "status": "'paid'", "updated_at": AT,
    },
    "gold.months": {
        "month": MONTH, "last_instant": "'2024-01-31 23:59:59.999999'", "known_until": AT,
    },
    "gold.user_mrr_monthly": {
        "user_id": "'u1'", "month": MONTH, "mrr": "10.00", "subscriptions": "1",
    },
    "gold.mrr_monthly": {
        "month": MONTH, "mrr": "10.00", "customers": "1", "new_mrr": "10.00",
        "reactivation_mrr": "0", "expansion_mrr": "0", "contraction_mrr": "0", "churned_mrr": "0",
        "new_customers": "1", "reactivated_customers": "0", "churned_customers": "0",
    },
    "gold.churn_monthly": {
        "month": MONTH, "customers_at_start": "0", "churned_customers": "0", "mrr_at_start": "0",
    },
    "gold.cohort_retention": {
        "cohort_month": MONTH, "month_number": "0", "cohort_size": "1", "retained": "1",
        "retention_rate": "1",
    },
    "gold.subscription_lifecycle": {
        "subscription_id": "'s1'", "first_plan": "'team'", "current_plan": "'team'",
        "status": "'active'", "started_at": AT, "tenure_days": "0", "upgrades": "0",
        "downgrades": "0", "lifetime_revenue": "10.00",
    },
    "gold.revenue_monthly": {
        "month": MONTH, "invoices": "1", "invoiced": "10.00", "paid": "10.00", "outstanding": "0",
        "avg_days_to_pay": "0",
    },
}  # fmt: skip
FEBRUARY: Row = {
    "month": "'2024-02-01'", "last_instant": "'2024-02-29 23:59:59.999999'",
    "known_until": "'2024-02-01 00:00:00'",
}  # fmt: skip
MARCH: Row = {
    "month": "'2024-03-01'", "last_instant": "'2024-03-31 23:59:59.999999'",
    "known_until": "'2024-03-01 00:00:00'",
}  # fmt: skip
NEIGHBOURS = "neighbouring spans of a subscription neither overlap nor repeat their values"
CALENDAR = "the months run from that of the first start to that of the newest change"
STARTS = "each month starts with the customers and the MRR of the month before"
NULL_RATES = "rates are null where the start is 0, and only there"
DEFECTS: Sequence[Defect] = [
    ("bronze.users", [{}, {}], ["files are complete", "each record is staged once"]),
    ("silver.users", [{}, {}], ["published user_id is unique"]),
    ("silver.users", [{"country": "'Germany'"}], ["warn: country is two letters"]),
    ("silver.users", [{"email": "NULL"}], ["warn: most users have an email"]),
    ("silver.users", [{"updated_at": "NULL"}], ["updated_at is given"]),
    ("silver.subscriptions", [{}, {}], ["published subscription_id is unique"]),
    ("silver.subscriptions", [{"status": "'paused'"}], ["status is known"]),
    ("silver.subscriptions", [{"monthly_price": "-1"}],
     ["monthly_price is given and not negative"]),
    ("silver.subscriptions", [{"ended_at": "'2023-12-31 00:00:00'"}],
     ["nothing ends before it starts"]),
    ("silver.subscriptions", [{"status": "'canceled'"}],
     ["warn: a canceled subscription has an end"]),
    ("silver.subscriptions", [{"plan": "'gold'"}], ["warn: plan is known"]),
    ("silver.subscriptions", [{"user_country": "NULL"}],
     ["warn: most subscriptions have a known user"]),
    ("silver.subscriptions", [{"changed_at": "'2023-12-30 23:59:59'"}],
     ["warn: the newest change is recent as of the run"]),
    ("silver.subscriptions_history",
     [{"valid_to": NEXT_DAY, "is_current": "false"},
      {"valid_from": NEXT_DAY, "plan": "'business'"}], []),
    ("silver.subscriptions_history",
     [{"valid_to": "'2024-01-02 00:00:00.000001'", "is_current": "false"},
      {"valid_from": NEXT_DAY, "plan": "'business'"}], [NEIGHBOURS]),
    ("silver.subscriptions_history",
     [{"valid_to": NEXT_DAY, "is_current": "false"}, {"valid_from": NEXT_DAY}], [NEIGHBOURS]),
    ("silver.subscriptions_history",
     [{}, {"valid_from": NEXT_DAY, "plan": "'business'"}], [NEIGHBOURS]),
    ("silver.subscriptions_history", [{}, {}], ["published key is unique", NEIGHBOURS]),
    ("silver.subscriptions_history", [{"valid_to": AT, "is_current": "false"}],
     ["each span ends after it starts"]),
    ("silver.subscriptions_history", [{"is_current": "false"}],
     ["is_current is given and says that the span is open"]),
    ("silver.subscriptions_history", [{"status": "'paused'"}], ["status is known"]),
    ("silver.events", [{}, {}], ["published event_id is unique"]),
    ("silver.events", [{"event_type": "NULL"}], ["event_type is given"]),
    ("silver.invoices", [{"status": "'refunded'", "paid_at": "NULL"}], ["status is known"]),
    ("silver.invoices", [{"amount": "-1"}], ["amount is given and not negative"]),
    ("silver.invoices", [{"paid_at": "NULL"}],
     ["warn: paid invoices, and only those, say when they were paid"]),
    ("silver.invoices", [{"paid_at": "'2024-01-01 09:59:59'"}],
     ["warn: nothing is paid before it is issued"]),
    ("silver.invoices", [{"subscription_id": "NULL"}], ["warn: the subscription is named"]),
    ("gold.months", [FEBRUARY], [CALENDAR]),
    ("gold.months", [{}, FEBRUARY], [CALENDAR]),
    ("gold.months", [{}, MARCH], ["the months have no gaps", CALENDAR]),
    ("gold.months", [{"last_instant": "'2024-01-31 23:59:59'"}],
     ["the month is over one microsecond after last_instant"]),
    ("gold.months", [{"known_until": "'2024-02-01 00:00:00'"}], ["known_until lies in the month"]),
    ("gold.user_mrr_monthly", [{}, {}], ["the key is unique"]),
    ("gold.user_mrr_monthly", [{"mrr": "0"}], ["mrr is above 0"]),
    ("gold.user_mrr_monthly", [{"month": "'2024-02-01'"}], ["each month is in the calendar"]),
    ("gold.user_mrr_monthly", [{"subscriptions": "0"}], ["each row has a subscription"]),
    ("gold.mrr_monthly", [{"mrr": "11.00"}],
     ["mrr is that of the month before plus the five movements"]),
    ("gold.mrr_monthly", [{"customers": "2"}],
     ["customers are those of the month before plus who came less who left"]),
    ("gold.mrr_monthly", [{"customers": "2", "new_customers": "2"}], ["each user is new once"]),
    ("gold.mrr_monthly", [{"new_mrr": "-10.00", "expansion_mrr": "20.00"}],
     ["each movement has its sign"]),
    ("gold.mrr_monthly", [{"churned_mrr": "NULL"}], ["amounts and counts are given"]),
    ("gold.mrr_monthly", [{}, {"month": "'2024-02-01'", "new_mrr": "0", "new_customers": "0"}],
     ["each month of the calendar has a row"]),
    ("gold.churn_monthly", [{"churned_customers": "1"}], ["nobody churns who was no customer"]),
    ("gold.churn_monthly", [{"customer_churn_rate": "0"}], [NULL_RATES]),
    ("gold.churn_monthly", [{"customers_at_start": "1"}], [NULL_RATES, STARTS]),
    ("gold.churn_monthly",
     [{"customers_at_start": "1", "mrr_at_start": "10.00", "customer_churn_rate": "2",
       "gross_revenue_churn_rate": "0.5", "net_revenue_retention": "0.4"}],
     ["churn rates are 0 to 1", "net retention is at least what gross churn leaves", STARTS]),
    ("gold.cohort_retention", [{"retained": "2"}],
     ["retained users are part of the cohort", "the first month retains the whole cohort",
      "the retained of a month are its customers"]),
    ("gold.cohort_retention", [{"retention_rate": "1.5"}], ["retention_rate is 0 to 1"]),
    ("gold.cohort_retention", [{"month_number": "1"}],
     ["the retained of a month are its customers"]),
    ("gold.cohort_retention", [{}, {"month_number": "1", "retained": "0", "retention_rate": "0"}],
     ["each cohort has a row for every month up to the last"]),
    ("gold.subscription_lifecycle", [{"tenure_days": "NULL"}], ["tenure is given"]),
    ("gold.subscription_lifecycle", [{"tenure_days": "-1"}],
     ["warn: tenure is not negative, as that of a subscription that has not begun would be"]),
    ("gold.subscription_lifecycle", [{"subscription_id": "'s2'"}],
     ["each subscription is in silver"]),
    ("gold.subscription_lifecycle", [{"lifetime_revenue": "9.99"}],
     ["lifetime_revenue adds up to the paid invoices of these subscriptions"]),
    ("gold.subscription_lifecycle", [{"upgrades": "NULL"}],
     ["upgrades and downgrades are given and not negative"]),
    ("gold.subscription_lifecycle", [{"first_plan": "NULL"}],
     ["plans, status and start are given"]),
    ("gold.revenue_monthly", [{"paid": "9.00", "outstanding": "1.00"}],
     ["paid adds up to the paid invoices of silver"]),
    ("gold.revenue_monthly", [{"outstanding": "0.01"}],
     ["outstanding is what was invoiced and not paid"]),
    ("gold.revenue_monthly", [{"month": "'2024-01-02'"}], ["month is the first day of a month"]),
]  # fmt: skip
SAAS = Suites(
    "saas",
    "2024-01-02T00:00:00+00:00",
    GOOD,
    DEFECTS,
    without_rows={
        "silver.subscriptions": ["warn: the newest change is recent as of the run"],
    },
)
