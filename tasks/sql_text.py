"""SQL of a domain: `layer.table` names become views pinned to a version; pure."""

from __future__ import annotations

import re

from sqlglot import exp, parse_one

_NAME = re.compile(r"\b(bronze|silver|gold)\.([A-Za-z_]\w*)\b")


def to_views(sql: str) -> str:
    """Replace `layer.table` by `layer_table`."""
    return _NAME.sub(r"\1_\2", sql)


def tables_in(sql: str) -> set[str]:
    """The `layer.table` names that a query reads.

    Raises:
        sqlglot.errors.ParseError: The text is not Spark SQL.
    """
    parsed = parse_one(sql, dialect="spark")
    return {f"{t.db}.{t.name}" for t in parsed.find_all(exp.Table) if t.db}
