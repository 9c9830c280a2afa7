"""Rows of tables for a person or a program: as a table, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from conf.load import load_config
from flows.json_values import plain
from storage.errors import ConfigurationError

if TYPE_CHECKING:
    import pyarrow as pa

    from flows.reading import Reader

SHOWN_ROWS = 10
PIPE_WIDTH = 160
"""Columns of a table where there is no terminal to fit."""


def reader_of(overrides: tuple[str, ...]) -> Reader:
    """Reads the tables of the lake that the overrides name; it tells on stderr what takes long."""
    from flows.reading import Reader  # noqa: PLC0415 - keeps `lakehouse config` quick

    return Reader(load_config(overrides), lambda text: click.echo(text, err=True))


def console() -> Console:
    """Where output goes: as wide as the terminal, or wide enough for a file."""
    found = Console()
    return found if found.is_terminal else Console(width=PIPE_WIDTH)


def rows_of(found: pa.Table) -> list[dict[str, Any]]:
    """The rows as Python's values.

    Raises:
        ConfigurationError: A query computed a date or instant that Python does not hold; it names the column.
    """
    columns: dict[str, list[Any]] = {}
    for name, values in zip(_distinct(found.column_names), found.columns, strict=True):
        try:
            columns[name] = values.to_pylist()
        except (OverflowError, ValueError) as error:
            raise ConfigurationError(
                f"column {name} has a date or instant that cannot be shown: {error}",
                advice=f'Ask for its text: cast("{name}" as varchar)',
            ) from None
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, a number after each one that was there before: a join has two of a name."""
    taken: dict[str, None] = {}
    for name in names:
        number, made = 0, name
        while made in taken or (number and made in names):
            number += 1
            made = f"{name}_{number}"
        taken[made] = None
    return list(taken)


def short(value: object) -> object:
    """A value that is not too long for a cell."""
    text = str(value)
    return value if len(text) <= 80 else text[:77] + "..."


def print_rows(rows: list[dict[str, Any]], *, as_json: bool = False, title: str = "") -> None:
    """Print the rows under a title; without rows the title alone."""
    if as_json:
        click.echo(json.dumps(plain(rows), indent=2, default=str))
        return
    if not rows:
        click.echo(title or "no rows")
        return
    table = Table(title=title or None, title_justify="left", title_style="bold", header_style="dim")
    for name in rows[0]:
        numeric = isinstance(rows[0][name], (int, float))
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console().print(table, markup=False)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
