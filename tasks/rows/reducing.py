"""Rows that a query makes of the good rows of deliveries, before they are merged (`reduce`)."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame

from storage.errors import ConfigurationError
from storage.schemas import describe_difference, named_types, schema
from storage.types import TableRef
from tasks.domain.schemas import BRONZE_METADATA
from tasks.domain.spec import DomainSpec, SilverSpec
from tasks.domain.sql_files import sql_file
from tasks.domain.sql_text import to_views

ROWS = "rows"
"""The view that the query reads."""
PLACE = ("_sequence", "_batch_id")
"""What it returns beside the table's columns."""


def columns(spec: SilverSpec) -> dict[str, str]:
    """Names and types of the columns that the query has to give; they are taken by name."""
    own = {name: column.type for name, column in spec.columns.items() if column.lookup is None}
    return own | {name: kind for name, kind in BRONZE_METADATA if name in PLACE}


def reduced(run: Callable[[str], DataFrame], domain: DomainSpec, ref: TableRef) -> DataFrame:
    """The query's result over the view `ROWS`.

    Raises:
        ConfigurationError: It gives other columns or types than declared; a merge would convert its values,
            and round them, without a word.
    """
    spec = domain.silver[ref.name]
    rows = run(to_views(sql_file(domain, spec.reduce or "")))
    wanted = schema(columns(spec).items())
    if named_types(rows.schema) != named_types(wanted):
        raise ConfigurationError(
            f"{ref.label}: the columns of reduce are not those declared: "
            + describe_difference(rows.schema, wanted),
            advice=f"Fix the SQL or the columns of {ref.label} in the domain's YAML.",
        )
    return rows
