from __future__ import annotations

import pytest
from pyspark.errors import AnalysisException, ParseException, PySparkException

from tasks.authoring.spark_errors import SparkSays, explained

UNRESOLVED = (
    "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column with name `x` cannot be resolved. "
    "Did you mean one of the following? [`a`]. SQLSTATE: 42703; line 3 pos 4;\n'Project ['x]\n"
)
SYNTAX = "\n[PARSE_SYNTAX_ERROR] Syntax error at or near ','. SQLSTATE: 42601 (line 2, pos 7)\n\n== SQL ==\n"


@pytest.mark.parametrize(
    ("error", "reason", "line"),
    [
        (AnalysisException(UNRESOLVED),
         "A column with name `x` cannot be resolved. Did you mean one of the following? [`a`].", 3),
        (ParseException(SYNTAX), "Syntax error at or near ','.", 2),
        (PySparkException("no class, no state"), "no class, no state", None),
        (AnalysisException(""), "AnalysisException", None),
    ],
)  # fmt: skip
def test_what_spark_says_is_one_line_with_its_place(
    error: PySparkException, reason: str, line: int | None
) -> None:
    assert explained(error) == SparkSays(reason, line)
