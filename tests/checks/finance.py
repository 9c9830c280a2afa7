"""Good rows of the finance domain and defects that its checks find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.checks.suites import Defect, Row, Suites

AT, DAY = "'2025-07-01 10:00:00'", "'2025-07-01'"

GOOD: Mapping[str, Row] = {
    "silver.transactions": {
        "transaction_id": "'t1'", "account_id": "'a1'", "merchant_id": "'m1'", "amount": "20000.00",
        "transaction_ts": AT, "channel": "'pos'", "transaction_date": DAY,
    },
    "silver.accounts": {
        "account_id": "'a1'", "transactions": "1", "amount": "20000.00",
        "squared_amount": "400000000", "mean_amount": "20000", "first_seen": AT, "last_seen": AT,
    },
    "silver.daily_totals": {
        "transaction_date": DAY, "transactions": "1", "accounts": "1", "amount": "20000.00",
    },
    "silver.merchant_totals": {
        "merchant_id": "'m1'", "transaction_date": DAY, "transactions": "1", "accounts": "1",
        "amount": "20000.00", "max_amount": "20000.00",
    },
    "gold.anomalies": {
        "transaction_id": "'t1'", "rule": "'very_high'", "score": "20000", "transaction_ts": AT,
        "account_id": "'a1'", "merchant_id": "'m1'", "amount": "20000.00",
    },
    "gold.daily_summary": {
        "transaction_date": DAY, "transactions": "1", "accounts": "1", "amount": "20000.00",
        "avg_amount": "20000", "anomalies": "1", "anomaly_rate": "1",
    },
    "gold.merchant_summary": {
        "merchant_id": "'m1'", "transaction_date": DAY, "transactions": "1", "accounts": "1",
        "amount": "20000.00", "max_amount": "20000.00", "anomalies": "1",
    },
}  # fmt: skip
AMOUNT = "amount is greater than 0 and below 10,000,000,000,000"
OF_ACCOUNTS = "every transaction with an account is in one"
OF_MERCHANTS = "every transaction with a merchant is in a date of it"
THRESHOLD = "each flag is above its threshold"
DEFECTS: Sequence[Defect] = [
    ("bronze.transactions", [{}, {}], ["files are complete"]),
    ("silver.transactions", [{}, {}], ["transaction_id is added once"]),
    ("silver.transactions", [{"amount": "0"}], [AMOUNT]),
    ("silver.transactions", [{"amount": "9999999999999.99"}], []),
    ("silver.transactions", [{"amount": "10000000000000.00"}], [AMOUNT]),
    ("silver.transactions", [{"account_id": "NULL"}], ["warn: account_id is given"]),
    ("silver.transactions", [{"channel": "'phone'"}], ["warn: channel is known"]),
    ("silver.accounts", [{"stddev_amount": "1"}], ["the statistics of an account fit together"]),
    ("silver.accounts", [{"first_seen": "'2025-07-02 00:00:00'"}],
     ["an account is not last seen before it is first seen"]),
    ("silver.accounts", [{"transactions": "2", "mean_amount": "10000", "stddev_amount": "0"}],
     [OF_ACCOUNTS]),
    ("silver.accounts", [{}, {}], ["account_id is unique", OF_ACCOUNTS]),
    ("silver.daily_totals", [{"transactions": "2"}], ["every transaction is in a date"]),
    ("silver.daily_totals", [{}, {"transaction_date": "'2025-07-02'"}],
     ["every transaction is in a date"]),
    ("silver.daily_totals", [{"accounts": "2"}],
     ["each date has transactions, and no more accounts than those"]),
    ("silver.merchant_totals", [{"transactions": "2"}], [OF_MERCHANTS]),
    ("silver.merchant_totals", [{"max_amount": "20000.01"}], ["the totals fit together"]),
    ("silver.merchant_totals", [{}, {}],
     ["each merchant and date is staged once", OF_MERCHANTS]),
    ("gold.anomalies", [{}, {}], ["a rule flags a transaction once"]),
    ("gold.anomalies", [{"rule": "'odd'"}], ["rule is known"]),
    ("gold.anomalies", [{"score": "10000"}], [THRESHOLD]),
    ("gold.anomalies", [{"rule": "'velocity'", "score": "10"}], [THRESHOLD]),
    ("gold.anomalies", [{"rule": "'high_amount'", "score": "2.9"}], [THRESHOLD]),
    ("gold.daily_summary", [{"anomalies": "0", "anomaly_rate": "0"}],
     ["every flagged transaction is counted"]),
    ("gold.daily_summary", [{"anomalies": "2", "anomaly_rate": "2"}],
     ["every flagged transaction is counted", "no more is flagged than there is"]),
    ("gold.daily_summary", [{"avg_amount": "19999"}],
     ["avg_amount and anomaly_rate follow from the counts"]),
    ("gold.merchant_summary", [{"anomalies": "0"}],
     ["every flagged transaction with a merchant is counted"]),
    ("gold.merchant_summary", [{"max_amount": "20000.01"}], ["amounts fit together"]),
]  # fmt: skip
FINANCE = Suites("finance", "2025-07-02T00:00:00+00:00", GOOD, DEFECTS)
