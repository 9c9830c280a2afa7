"""Names of a first domain, and its example of a gold table."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

import yaml

from tasks.starter.csv_profile import identifier
from tasks.starter.guesses import Guess

COUNT = "number_of_rows"
RESERVED = frozenset(
    {
        "all", "and", "as", "asc", "by", "case", "cast", "check", "create", "cross", "default", "desc",
        "distinct", "else", "end", "except", "false", "from", "full", "group", "having", "in", "inner",
        "intersect", "into", "join", "left", "like", "limit", "natural", "not", "null", "offset", "on",
        "or", "order", "outer", "primary", "references", "right", "select", "table", "then", "to",
        "true", "union", "unique", "using", "values", "when", "where", "window", "with",
    }
)  # fmt: skip
"""Words that a query can take for its own: written in back-ticks."""


@dataclass(frozen=True)
class Plan:
    """Names and folders of a first domain.

    Attributes:
        name: The domain.
        table: Name of its bronze and its silver table.
        pattern: File names that are deliveries of the source.
        roots: How the domain names the folders of SQL and of checks.
    """

    name: str
    table: str
    pattern: str
    roots: tuple[str, str]
    guess: Guess

    @property
    def gold(self) -> Gold:
        """The example of a gold table."""
        return Gold(self.table, self.guess)


def table_name(stem: str) -> str:
    """The table that a file of this name feeds: without a date or number at its end; may be empty."""
    return re.sub(r"(_?\d+)+$", "", identifier(stem)).lstrip("0123456789_")


def pattern_of(stem: str, suffix: str) -> str:
    """The file names of later deliveries: the same beginning, whatever date or number follows."""
    begin = re.sub(r"[\d._\- T]*$", "", stem)
    separator = stem[len(begin) : len(begin) + 1]
    begin += separator if separator in "._- " else ""
    return re.sub(r"([*?\[])", r"[\1]", begin) + "*" + re.sub(r"([*?\[])", r"[\1]", suffix)


class Gold:
    """The example of a gold table: rows (and a sum) a month, else a value of a column, else in all."""

    def __init__(self, table: str, guess: Guess) -> None:
        self.time, self.group, self.measure = guess.time, guess.group, guess.measure
        self.source = table
        by = self.time or self.group
        self.key = "month" if self.time else self.group.name if self.group else "part"
        self.name = f"{table}_by_{self.key}" if by else f"{table}_in_all"
        self.grain = {
            "month": "month", "part": "table",
        }.get(self.key, f"value of {self.key}")  # fmt: skip
        self.total = f"total_{self.measure.name}" if self.measure else ""

    @property
    def key_type(self) -> str:
        """Type of the grain."""
        return "date" if self.time else self.group.type if self.group else "string"

    @property
    def total_type(self) -> str:
        """Type of the sum: as wide as sums need."""
        kind = self.measure.type if self.measure else ""
        return "bigint" if kind == "int" else kind

    @property
    def key_sql(self) -> str:
        """What gives the grain from a row of silver."""
        if self.time:
            return f"cast(date_trunc('month', {sql(self.time.name)}) as date)"
        return sql(self.group.name) if self.group else "'all'"

    @property
    def filter(self) -> str:
        """Rows that have a grain."""
        by = self.time or self.group
        return f"where {sql(by.name)} is not null" if by else ""


def sql(name: str) -> str:
    """A name in a query."""
    return f"`{name}`" if name.lower() in RESERVED else name


def scalar(text: str) -> str:
    """A text in YAML, quoted where it has to be."""
    plain = re.fullmatch(r"[\w][\w ./()=<>*-]*", text) and not text.endswith(" ")
    return text if plain and yaml.safe_load(text) == text else json.dumps(text, ensure_ascii=False)
