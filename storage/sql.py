"""Quoting of identifiers and literals for Spark SQL; pure."""

from __future__ import annotations


def quote(identifier: str) -> str:
    """Back-tick an identifier."""
    return "`" + identifier.replace("`", "``") + "`"


def literal(value: str) -> str:
    """A string literal, safe for any content."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
