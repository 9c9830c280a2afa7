"""The check files of growth against the columns that the domain declares: good rows, no rows, defects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from checks.model import CheckResult, CheckSuite, Outcome
from checks.soda_scanner import SodaScanner

pytestmark = pytest.mark.spark

REPOSITORY = Path(__file__).parents[2]
ROOT = REPOSITORY / "checks" / "growth"
DOMAIN = yaml.safe_load((REPOSITORY / "conf" / "domain" / "growth.yaml").read_text("utf-8"))
VARIABLES = {"as_of": "2024-01-02T00:00:00+00:00", "expected_rows": "1"}
READ = ("silver.visits", "silver.signups", "silver.billing", "gold.calendar")
"""Tables that checks of other tables look at."""

Row = Mapping[str, str]
"""Column to Spark SQL; columns left out are null."""

AT, DAY, WEEK = "'2024-01-01 10:00:00'", "'2024-01-01'", "'2024-01-01'"

# One row a table that every check accepts. Views of other tables hold the same rows.
GOOD: dict[str, Row] = {
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
METADATA = yaml.safe_load((ROOT / "bronze" / "visits.yml").read_text("utf-8"))["checks for staged"][
    0
]["schema"]["fail"]["when wrong column type"]
for _table in DOMAIN["bronze"]:
    GOOD[f"bronze.{_table}"] = {
        "_source_file": "'a.csv'", "_batch_id": "'b1'", "_record_hash": "'h1'",
        "_quality_flag": "'ok'", "_record_number": "1",
    }  # fmt: skip


def columns_of(table: str) -> dict[str, str]:
    layer, name = table.split(".")
    if layer == "bronze":
        metadata = {column: kind for column, kind in METADATA.items() if column.startswith("_")}
        return dict.fromkeys(DOMAIN["bronze"][name]["columns"], "string") | metadata
    declared = DOMAIN[layer][name]["columns"].items()
    return {column: (spec or {}).get("type", "string") for column, spec in declared}


def register(session: SparkSession, view: str, table: str, rows: Sequence[Row]) -> None:
    columns = columns_of(table)
    for row in rows:
        assert row.keys() <= columns.keys(), f"{table} has no {row.keys() - columns.keys()}"
    selects = [
        "SELECT "
        + ", ".join(
            f"CAST({row.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in columns.items()
        )
        for row in (rows or [{}])
    ]
    frame = session.sql(" UNION ALL ".join(selects))
    (frame if rows else frame.where("false")).createOrReplaceTempView(view)


@pytest.fixture
def session(spark: SparkSession) -> Iterator[SparkSession]:
    own = spark.newSession()
    own.conf.set("spark.sql.session.timeZone", "UTC")
    for table in READ:
        register(own, table.replace(".", "_"), table, [GOOD[table]])
    yield own
    for view in ("staged", "result", *(table.replace(".", "_") for table in READ)):
        own.catalog.dropTempView(view)


def scan(session: SparkSession, table: str, rows: Sequence[Row]) -> tuple[CheckResult, ...]:
    register(session, "staged", table, rows)
    register(session, "result", table, rows)
    return SodaScanner().scan(session, CheckSuite.load(ROOT, *table.split(".")), VARIABLES)


def not_passed(results: Sequence[CheckResult]) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in results if result.outcome is not Outcome.PASS}


def test_every_table_of_the_domain_has_checks_and_a_good_row() -> None:
    tables = {f"{layer}.{name}" for layer in ("bronze", "silver", "gold") for name in DOMAIN[layer]}
    assert tables == set(GOOD)
    assert tables == {f"{file.parent.name}.{file.stem}" for file in ROOT.glob("*/*.yml")}


@pytest.mark.parametrize("table", sorted(GOOD))
def test_a_good_row_passes_all_checks(session: SparkSession, table: str) -> None:
    assert not_passed(scan(session, table, [GOOD[table]])) == {}


@pytest.mark.parametrize("table", sorted(table for table in GOOD if "bronze" not in table))
def test_no_rows_are_legal_in_silver_and_gold(session: SparkSession, table: str) -> None:
    for view in READ:
        register(session, view.replace(".", "_"), view, [])
    stale = {"the newest visit is recent as of the run": Outcome.WARN}
    assert not_passed(scan(session, table, [])) == (stale if table == "silver.visits" else {})


CONTROL = {"variant": "'new'", "uplift": "0", "z": "0", "p_value": "1", "ci_low": "-1"}
TESTED = "the interval holds the difference, whose sign is that of z"


@pytest.mark.parametrize(
    ("table", "changes", "expected"),
    [
        ("bronze.billing", [{}, {}], ["files are complete", "each record is staged once"]),
        ("silver.visits", [{}, {}], ["published visit_id is unique"]),
        ("silver.visits", [{"cost": "-0.01"}], ["cost is not negative"]),
        ("silver.visits", [{"channel": "NULL"}], ["most visits have a channel"]),
        (
            "silver.visits",
            [{"visited_at": "'2023-12-30 23:59:59'", "visit_date": "'2023-12-30'"}],
            ["the newest visit is recent as of the run"],
        ),
        ("silver.signups", [{"country": "'us'"}], ["country has two letters"]),
        ("silver.product_events", [{"event_date": "'2024-01-02'"}],
         ["event_date is the date of event_ts"]),
        ("silver.billing", [{"status": "'void'", "paid_date": "NULL"}], ["status is known"]),
        ("silver.billing", [{"paid_date": "NULL"}],
         ["paid_date is given for paid invoices, and only then"]),
        ("silver.billing", [{"paid_at": "'2024-01-01 09:59:59'"}],
         ["nothing is paid before it is issued"]),
        ("silver.support_tickets", [{"csat": "6"}], ["csat is 1 to 5"]),
        ("silver.support_tickets", [{"resolved_at": "NULL"}], ["only resolved tickets are rated"]),
        ("gold.calendar", [{}, {"date": "'2024-01-03'"}], ["no day is missing"]),
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
        ("gold.experiment_performance", [{"variant": "'new'"}], ["each experiment has a control"]),
    ],
)  # fmt: skip
def test_a_defect_is_found_by_its_check(
    session: SparkSession, table: str, changes: list[Row], expected: list[str]
) -> None:
    rows = [{**GOOD[table], **change} for change in changes]
    found = not_passed(scan(session, table, rows))
    assert sorted(found) == sorted(expected)
    assert Outcome.NOT_EVALUATED not in found.values()
