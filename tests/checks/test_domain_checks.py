"""The check files of the domains against the columns that each declares: good rows, no rows, defects."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from checks.model import CheckSuite
from checks.soda_scanner import SodaScanner
from tasks.domain.spec import EVENTS
from tasks.domain.sql_text import named_tables, to_views
from tests.checks.crm import CRM
from tests.checks.finance import FINANCE
from tests.checks.growth import GROWTH
from tests.checks.olist import OLIST
from tests.checks.saas import SAAS
from tests.checks.suites import Defect, Suites, not_passed

pytestmark = pytest.mark.spark

DOMAINS = (OLIST, GROWTH, SAAS, FINANCE, CRM)
TABLES = [
    pytest.param(domain, table, id=f"{domain.name}-{table}")
    for domain in DOMAINS
    for table in sorted(domain.good)
    if not table.endswith(EVENTS)
]


@pytest.fixture
def session(spark: SparkSession) -> SparkSession:
    """A session with temporary views of its own."""
    own = spark.newSession()
    own.conf.set("spark.sql.session.timeZone", "UTC")
    return own


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_every_table_of_a_domain_has_checks_and_a_good_row_and_a_defect(domain: Suites) -> None:
    assert domain.checked <= set(domain.rows)
    files = {f"{file.parent.name}.{file.stem}" for file in domain.root.glob("*/*.yml")}
    assert files == domain.checked
    above = {table for table in domain.checked if not table.startswith("bronze.")}
    assert above - {table for table, _, expected in domain.defects if expected} == set()


@pytest.mark.parametrize(("domain", "table"), TABLES)
def test_a_good_row_passes_all_checks(session: SparkSession, domain: Suites, table: str) -> None:
    assert not_passed(domain.scan(session, table, [domain.rows[table]])) == []


@pytest.mark.parametrize("domain", DOMAINS, ids=lambda domain: domain.name)
def test_a_good_row_passes_all_checks_of_bronze(session: SparkSession, domain: Suites) -> None:
    for name in domain.spec.bronze:
        table = f"bronze.{name}"
        assert not_passed(domain.scan(session, table, [domain.rows[table]])) == [], table


@pytest.mark.parametrize(("domain", "table"), TABLES)
def test_no_rows_are_legal_in_silver_and_gold(
    session: SparkSession, domain: Suites, table: str
) -> None:
    found = not_passed(domain.scan(session, table, [], others=False))
    assert found == domain.without_rows.get(table, [])


def test_an_empty_delivery_is_not_whole(session: SparkSession) -> None:
    found = not_passed(OLIST.scan(session, "bronze.orders", []))
    assert found == ["files are complete", "the delivery has records"]


def test_a_dropped_bronze_column_fails(session: SparkSession) -> None:
    orders = OLIST.frame(session, "bronze.orders", [OLIST.rows["bronze.orders"]])
    orders.drop("order_status").createOrReplaceTempView("staged")
    suite = CheckSuite.load(OLIST.root, "bronze", "orders")
    results = SodaScanner().scan(session, suite, {"as_of": OLIST.as_of, "expected_rows": "1"})
    assert not_passed(results) == ["source and metadata columns are there with their types"]
    assert results[0].message == "column order_status is missing"


INSTANTS = [
    (GROWTH, "silver.visits", "visited_at"),
    (GROWTH, "silver.signups", "signed_up_at"),
    (GROWTH, "silver.product_events", "event_ts"),
    (GROWTH, "silver.experiments", "assigned_at"),
    (GROWTH, "silver.billing", "updated_at"),
    (GROWTH, "silver.support_tickets", "updated_at"),
    (SAAS, "silver.subscriptions", "changed_at"),
    (SAAS, "silver.events", "event_ts"),
    (SAAS, "silver.invoices", "updated_at"),
]


@pytest.mark.parametrize(
    ("domain", "table", "column"), [pytest.param(*c, id=f"{c[0].name}-{c[1]}") for c in INSTANTS]
)
def test_the_newest_business_date_is_that_of_any_source(
    session: SparkSession, domain: Suites, table: str, column: str
) -> None:
    """So the others tell of a source that has stopped."""
    for read in named_tables(domain.spec.as_of):
        later = {column: "'2030-01-01 00:00:00'"} if read == table else {}
        rows = domain.frame(session, read, [{**domain.rows[read], **later}])
        rows.createOrReplaceTempView(read.replace(".", "_"))
    newest = session.sql(to_views(domain.spec.as_of)).toDF("at").selectExpr("cast(at as string)")
    assert newest.collect()[0][0] == "2030-01-01 00:00:00"


@pytest.mark.parametrize(
    ("domain", "defect"),
    [
        pytest.param(d, defect, id=f"{d.name}-{defect[0]}-{number}")
        for d in DOMAINS
        for number, defect in enumerate(d.defects)
    ],
)
def test_a_defect_is_found_by_its_check(
    session: SparkSession, domain: Suites, defect: Defect
) -> None:
    table, changes, expected = defect
    rows = [{**domain.rows[table], **change} for change in changes]
    assert not_passed(domain.scan(session, table, rows)) == sorted(expected)
