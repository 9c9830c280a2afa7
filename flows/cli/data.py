"""Commands that make data: generate."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from conf.load import load_config
from conf.schema import Config
from storage.errors import ConfigurationError

SETTINGS = {"orders": int, "seed": int, "defects": float}


@click.command("generate")
@click.argument("arguments", nargs=-1)
@click.option("--to", required=True, type=click.Path(path_type=Path), help="Folder to write to.")
def generate_command(arguments: tuple[str, ...], to: Path) -> None:
    """Write data to try a domain with, the same bytes for the same seed.

    For example: lakehouse generate domain=olist orders=99441 seed=7 defects=0.01 --to DIR
    """
    given = dict(a.split("=", 1) for a in arguments if a.split("=", 1)[0] in SETTINGS and "=" in a)
    rest = [a for a in arguments if a.split("=", 1)[0] not in SETTINGS]
    config = load_config(rest)
    try:
        orders, seed = int(given.get("orders", "99441")), int(given.get("seed", "7"))
        defects = float(given.get("defects", "0"))
    except ValueError as error:
        raise ConfigurationError(f"generate: {error}") from None
    generate_files(config, orders=orders, seed=seed, defects=defects, to=to)


def generate_files(config: Config, *, orders: int, seed: int, defects: float, to: Path) -> None:
    """Call the domain's generator and say what it wrote.

    Raises:
        ConfigurationError: The domain has no generator, or refuses a value.
    """
    if config.domain.generator is None:
        raise ConfigurationError(f"domain {config.domain.name} has no generator")
    module = importlib.import_module(config.domain.generator)
    try:
        made = module.generate(to, orders=orders, seed=seed, defects=defects)
    except ValueError as error:
        raise ConfigurationError(f"generate: {error}") from None
    for file in made.files:
        click.echo(f"  {file.name:<44} {file.rows:>10,} rows {file.bytes / 1e6:>8.1f} MB")
    click.echo(f"written to {to}; what was planted: {made.truth}")


COMMANDS = (generate_command,)
