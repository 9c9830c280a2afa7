"""Text as values in silver: Spark takes and refuses what the cases of a domain and the API do."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tasks.domain.spec import Rounding
from tasks.rows.parsing import parsed, refusal, unparseable
from tests.oracle.texts import EXACT, ROUNDED, spoken


def of_spark(
    spark: SparkSession, kind: str, texts: list[str], rounds: Rounding
) -> dict[str, tuple[str | None, str | None]]:
    """Value and reason of each text."""
    raw = F.col("v")
    value = parsed(raw, kind, rounds)
    told = value if kind == "double" else value.cast("string")
    reason = F.when(unparseable(raw, kind, rounds), refusal(F.lit("v"), raw, F.lit(kind)))
    rows = spark.createDataFrame([(text,) for text in texts], "v string")
    found = rows.select(raw, told.alias("told"), reason.alias("reason")).collect()
    return {row["v"]: (spoken(row["told"]), row["reason"]) for row in found}


@pytest.mark.parametrize("kind", EXACT)
def test_spark_takes_exactly_what_was_delivered(spark: SparkSession, kind: str) -> None:
    found = of_spark(spark, kind, list(EXACT[kind]), Rounding.none)
    assert {text: value for text, (value, _) in found.items()} == EXACT[kind]
    assert {text for text, (_, reason) in found.items() if reason} == {
        text for text, value in EXACT[kind].items() if value is None
    }


def test_a_decimal_is_rounded_where_its_column_says_so(spark: SparkSession) -> None:
    found = of_spark(spark, "decimal(18,2)", list(ROUNDED), Rounding.half_up)
    assert {text: value for text, (value, _) in found.items()} == ROUNDED


def test_the_reason_says_what_does_not_fit_and_what_is_none(spark: SparkSession) -> None:
    found = of_spark(spark, "decimal(18,2)", ["1.005", "abc"], Rounding.none)
    assert found["1.005"][1] == "v: '1.005' does not fit a decimal(18,2) exactly"
    assert found["abc"][1] == "v: 'abc' is not a decimal(18,2)"
