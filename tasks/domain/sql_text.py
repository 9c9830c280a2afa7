"""SQL of a domain: `layer.table` names become views pinned to a version; pure."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import Dialect, Token, TokenType, tokenize
from sqlglot.errors import TokenError

DATABASES = ("bronze", "silver", "gold", "ops")


def to_views(sql: str, prefix: str = "") -> str:
    """Replace `layer.table` by `layer_table` after a prefix; literals and comments stay as they are.

    Raises:
        sqlglot.errors.TokenError: A quote is not closed.
    """
    parts, done = [], 0
    for layer, name in _names(sql):
        parts += [sql[done : layer.start], f"{prefix}{layer.text}_{name.text}"]
        done = name.end + 1
    return "".join([*parts, sql[done:]])


def named_tables(sql: str) -> dict[str, int]:
    """The `layer.table` names in a text, each with the line of its first place, from 1.

    Raises:
        sqlglot.errors.TokenError: A quote is not closed.
    """
    places: dict[str, int] = {}
    for layer, name in _names(sql):
        places.setdefault(f"{layer.text}.{name.text}", layer.line)
    return places


def _names(sql: str) -> Iterator[tuple[Token, Token]]:
    """The two tokens of each `layer.table` that is not the end of a longer name."""
    tokens = tokenize(sql, read="spark")
    for place, (layer, dot, name) in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False)):
        inside = place > 0 and tokens[place - 1].token_type is TokenType.DOT
        if layer.text in DATABASES and dot.token_type is TokenType.DOT and not inside:
            yield layer, name


def trimmed(sql: str, dialect: str | None = None) -> str:
    """A query without the semicolons and comments that it ends in, so that it can stand in brackets.

    Args:
        sql: One query.
        dialect: Name of its dialect, as sqlglot has it; one that it does not know is read as standard SQL.
    """
    try:
        tokens = tokenize(sql, read=Dialect.get(dialect or ""))
    except TokenError:
        return sql.strip()  # the database says what is wrong with it
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    return sql[: tokens[-1].end + 1].lstrip() if tokens else sql
