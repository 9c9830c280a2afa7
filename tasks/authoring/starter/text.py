"""Names and texts as they are written into YAML and SQL."""

from __future__ import annotations

import re

import yaml
from sqlglot import TokenType, tokenize

RESERVED = frozenset(
    {
        "by",
        "cast",
        "check",
        "extract",
        "group",
        "order",
        "position",
        "primary",
        "to",
        "trim",
        "user",
    }
)
"""Words that a query takes for its own, beside the keywords that the tokenizer knows."""


def sql(name: str) -> str:
    """A name in a query: in back-ticks where it is a word of SQL or no plain name."""
    tokens = tokenize(name, read="spark") if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else []
    plain = len(tokens) == 1 and tokens[0].token_type is TokenType.VAR
    return name if plain and name.lower() not in RESERVED else f"`{name.replace('`', '``')}`"


def scalar(text: str) -> str:
    """A text in a configuration file, quoted where it has to be; nothing in it is a reference."""
    plain = re.fullmatch(r"[\w][\w ./()=<>*-]*", text, re.ASCII) and not text.endswith(" ")
    if plain and yaml.safe_load(text) == text and not re.match(r"[\d.]", text):
        return text
    return quoted(re.sub(r"(\\*)\$\{", r"\1\1\\${", text))


def quoted(text: str) -> str:
    """A text in YAML in double quotes, on one line, which every version of YAML reads as that text."""
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=2**31).strip()


def said(text: str) -> str:
    """A text in a comment: on one line."""
    return text if text.isprintable() else quoted(text)
