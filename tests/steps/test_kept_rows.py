"""Rows that a commit changed, as they are kept beside the lake."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from storage.plans import BEFORE
from tasks.records import changes


@pytest.mark.parametrize("name", ["_outcome", "_fate"])
def test_rows_that_stayed_as_they_were_are_no_change_whatever_version_kept_them(
    spark: SparkSession, name: str
) -> None:
    kept = spark.sql(
        f"select 1 id, 'new' v, struct(1 as id, 'old' as v) {BEFORE}, 'published' {name} "
        f"union all select 2, 'late', struct(2 as id, 'kept' as v), 'unchanged'"
    )
    rows = changes._images(kept).collect()
    assert sorted(tuple(row) for row in rows) == [(1, "new", False), (1, "old", True)]


def test_a_column_of_the_table_may_have_such_a_name(spark: SparkSession) -> None:
    kept = spark.sql(
        f"select 1 id, 'unchanged' _outcome, struct(1 as id, cast(null as string) as _outcome) {BEFORE}"
    )
    rows = changes._images(kept).collect()
    assert {tuple(row) for row in rows} == {(1, None, True), (1, "unchanged", False)}
