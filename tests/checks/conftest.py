"""Rows that checks are tried on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

ROWS = """
    SELECT * FROM VALUES
      ('o1', 'secret-a', 10.00BD, TIMESTAMP'2018-10-16 12:00:00+00:00', 'delivered'),
      ('o2', 'secret-b', -1.00BD, TIMESTAMP'2018-10-17 00:00:00+00:00', 'lost'),
      ('o2', NULL,       20.00BD, TIMESTAMP'2018-10-15 00:00:00+00:00', 'shipped')
    AS t (order_id, customer, price, bought_at, status)
"""


@pytest.fixture
def session(spark: SparkSession) -> Iterator[SparkSession]:
    """A session of its own, with three rows as ``staged`` and ``result`` and none as ``empty``."""
    own = spark.newSession()
    rows = own.sql(ROWS)
    rows.createOrReplaceTempView("staged")
    rows.createOrReplaceTempView("result")
    rows.where("false").createOrReplaceTempView("empty")
    own.sql("SELECT 'o1' AS order_id").createOrReplaceTempView("silver_orders")
    yield own
    for view in ("staged", "result", "empty", "silver_orders"):
        own.catalog.dropTempView(view)
