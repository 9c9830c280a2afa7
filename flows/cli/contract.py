"""The command that prints what the tables promise: contract."""

from __future__ import annotations

import json

import click
import yaml

from conf.load import load_config
from storage.errors import ConfigurationError


@click.command("contract")
@click.argument("arguments", nargs=-1, metavar="[TABLE] [OVERRIDES]...")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def contract_command(arguments: tuple[str, ...], *, as_json: bool) -> None:
    """Print the contract of a table, or of all tables, in the Open Data Contract Standard.

    For example: lakehouse contract silver.orders domain=olist
    """
    from tasks.authoring import odcs  # noqa: PLC0415 - keeps the other commands quick

    labels = [a for a in arguments if "=" not in a]
    domain = load_config([a for a in arguments if "=" in a]).domain
    tables = {ref.label: ref for ref in domain.tables()}
    unknown = [label for label in labels if label not in tables]
    if unknown:
        raise ConfigurationError(
            f"there is no table {unknown[0]} in domain {domain.name}",
            advice=f"Tables: {', '.join(tables)}",
        )
    made = odcs.document(domain, [tables[x] for x in labels] or list(tables.values()))
    if as_json:
        click.echo(json.dumps(made, indent=2, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=100), nl=False)


COMMANDS = (contract_command,)
