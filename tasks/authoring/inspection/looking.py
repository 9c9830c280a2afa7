"""Everything that Spark and the files say of a domain."""

from __future__ import annotations

from pyspark.sql import SparkSession

from tasks.authoring.inspection import expressions, queries, suites, usage
from tasks.authoring.inspection.analyzer import Inspection
from tasks.authoring.inspection.findings import Findings
from tasks.domain.spec import DomainSpec


def inspect_domain(session: SparkSession, domain: DomainSpec, found: Findings) -> None:
    """Add what is wrong or unused to what composition has found.

    Args:
        session: Resolves the SQL against empty views in a session of its own; no data is read.
        domain: As the platform runs it, with the tables of events; it may have problems.
        found: What was found so far.
    """
    inspection = Inspection(session.newSession(), domain, found)
    inspection.register()
    queries.look(inspection)
    expressions.look(inspection)
    suites.look(inspection)
    usage.look(domain, found)
