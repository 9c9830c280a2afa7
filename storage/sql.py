"""Quoting of identifiers and literals for Spark SQL; pure."""

from __future__ import annotations


def quote(identifier: str) -> str:
    """Back-tick an identifier."""
    return "`" + identifier.replace("`", "``") + "`"


def literal(value: str) -> str:
    """A string literal, safe for any content."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def folded(identifier: str) -> str:
    """A name as Spark compares it: two are one where their letters have the same capitals.

    So the dotless i is an i, and the micro sign a Greek letter. Source: `String.equalsIgnoreCase` of Java,
    which goes letter by letter; a letter whose capital is written with two keeps its own.
    """
    capitals = (c.upper() if len(c.upper()) == 1 else c for c in identifier)
    return "".join(c.lower()[:1] for c in capitals)
