"""Names of a first domain, and its example of a gold table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.authoring.starter.csv_profile import identifier
from tasks.authoring.starter.guesses import Guess
from tasks.authoring.starter.text import sql

COUNT = "number_of_rows"
LONGEST = 60
"""Characters of a table's name: it is part of the names of files."""


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
    return re.sub(r"(_?\d+)+$", "", identifier(stem)).lstrip("0123456789_")[:LONGEST].rstrip("_")


def pattern_of(stem: str, suffix: str) -> str:
    """The file names of later deliveries: the same beginning, whatever date or number follows."""
    begin = re.sub(r"([\d._\- ]|(?<=\d)T(?=\d))*$", "", stem)
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
        self.name = f"{table}_by_{self.key.lower()[:LONGEST]}" if by else f"{table}_in_all"
        self.grain = {
            "month": "month", "part": "table",
        }.get(self.key, f"value of {self.key}")  # fmt: skip
        self.count = _other(COUNT, self.key)
        self.total = _other(f"total_{self.measure.name}", self.key) if self.measure else ""

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


def _other(name: str, taken: str) -> str:
    """The name, or another one where it is taken."""
    return f"{name}_" if name.lower() == taken.lower() else name
