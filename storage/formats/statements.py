"""Statements of Spark under a setting: how a commit gets its record, and a merge its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from pyspark.sql import DataFrame, SparkSession

from storage.plans import MergePlan
from storage.types import CommitRecord


@contextmanager
def setting(session: SparkSession, name: str, value: str) -> Iterator[None]:
    """The setting has the value in the block and none afterwards."""
    session.conf.set(name, value)
    try:
        yield
    finally:
        session.conf.unset(name)


def recorded(
    session: SparkSession, name: str, record: CommitRecord
) -> AbstractContextManager[None]:
    """Commits in the block carry the record, which the format reads from a setting."""
    # Spark replaces ${name} in the values of its settings; JSON has another way to write the sign.
    return setting(session, name, record.to_json().replace("$", r"\u0024"))


def merge(session: SparkSession, plan: MergePlan, rows: DataFrame, target: str, view: str) -> None:
    """Merge rows into the table that SQL names so, as one statement; `view` is their name meanwhile."""
    rows.createOrReplaceTempView(view)
    try:
        session.sql(plan.sql(target, view)).collect()
    finally:
        session.catalog.dropTempView(view)
