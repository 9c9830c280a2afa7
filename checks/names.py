"""The columns that the line of a check names.

Soda pastes them into SQL as they stand, where `select`, `1e3`, `имя` and `"x"` are not columns. Here they
become names in back-ticks. A check may name any column; one that holds a bracket or a comma needs quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_HEAD = re.compile(r"(values in |\w+\s*)\(", re.ASCII)
_VIEW = re.compile(r"\s+must (?:not )?exist in (\w+)\s*\(", re.ASCII)
_NUMBER = re.compile(r"\d+(\.\d+)?")
_QUOTES = '`"'
FRESHNESS = "freshness"


@dataclass(frozen=True)
class Named:
    """The line of a check with the names that it holds.

    Attributes:
        head: What is before the first bracket: a metric, `values in`, or the whole line.
        columns: Columns of the check's own view, without quotes.
        others: What else is in the first bracket: a number, the name of a variable.
        view: The view that is referred to; else empty.
        referenced: Its columns, without quotes.
    """

    line: str
    head: str
    columns: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    view: str = ""
    referenced: tuple[str, ...] = ()
    _between: str = ""
    _rest: str = ""

    @property
    def subject(self) -> str:
        """The line up to the end of its first bracket."""
        return self.line.removesuffix(self._rest) if self._rest else self.line

    @property
    def quoted(self) -> str:
        """The line with each column in back-ticks."""
        if not (self.columns or self.others):
            return self.line
        first = ", ".join([*(f"`{name}`" for name in self.columns), *self.others])
        if not self.view:
            return f"{self.head}({first}){self._rest}"
        second = ", ".join(f"`{name}`" for name in self.referenced)
        return f"{self.head}({first}){self._between}({second}){self._rest}"


def named(line: str) -> Named:
    """Read the names in a line.

    Raises:
        ValueError: A name holds a back-tick, or a bracket or quote is not closed.
    """
    head = _HEAD.match(line)
    if head is None:
        return Named(line, line)
    items, end = _items(line, head.end())
    rest = line[end:]
    found = Named(line, head[1], _rest=rest)
    view = _VIEW.match(rest) if head[1] == "values in " else None
    if view:
        referenced, after = _items(rest, view.end())
        between = rest[: view.end() - 1]
        return replace(
            found, columns=_bare(items), view=view[1], referenced=_bare(referenced),
            _between=between, _rest=rest[after:],
        )  # fmt: skip
    variable = 1 if head[1].strip() == FRESHNESS else len(items)
    columns = [item for item in items[:variable] if not _NUMBER.fullmatch(item)]
    others = [item for item in items if item not in columns]
    return replace(found, columns=_bare(columns), others=tuple(others))


def _items(text: str, start: int) -> tuple[list[str], int]:
    """What is between commas up to the closing bracket, and the place behind that."""
    items, begin, quote = [], start, ""
    for place in range(start, len(text)):
        sign = text[place]
        if quote:
            quote = "" if sign == quote else quote
        elif sign in _QUOTES and not text[begin:place].strip():
            quote = sign
        elif sign in ",)":
            items.append(text[begin:place].strip())
            begin = place + 1
            if sign == ")":
                return [item for item in items if item], begin
    missing = f"quote {quote}" if quote else "bracket"
    raise ValueError(f"a {missing} is not closed")


def _bare(items: list[str]) -> tuple[str, ...]:
    names = tuple(
        item[1:-1] if len(item) > 2 and item[0] in _QUOTES and item[-1] == item[0] else item
        for item in items
    )
    wrong = next((name for name in names if "`" in name), None)
    if wrong is not None:
        raise ValueError(
            f"the column {wrong!r} has a back-tick in its name, which no check can name; "
            "write it as `failed rows` with a `fail query`"
        )
    return names
