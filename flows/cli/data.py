"""Commands that make data: generate."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click

from conf.load import load_config
from conf.schema import Config
from storage.errors import ConfigurationError

CONFIGURED = {field.name for field in fields(Config)}
"""First parts of the keys that choose the domain and its configuration; others are the generator's."""


@click.command("generate")
@click.argument("arguments", nargs=-1)
@click.option("--to", required=True, type=click.Path(path_type=Path), help="Folder to write to.")
def generate_command(arguments: tuple[str, ...], to: Path) -> None:
    """Write data to try a domain with, the same rows for the same seed.

    Each key=value is a parameter of the domain's generator: rows (of its main source), seed, defects (a
    share of the rows), and what else the domain's page names.
    For example: lakehouse generate domain=olist rows=99441 seed=7 defects=0.01 --to DIR
    """
    if re.match(r"\w+:/", str(to)):  # a path keeps one of the two strokes
        raise ConfigurationError(
            f"--to {to}: data is generated into a local folder",
            advice="Write it to a folder, then copy that with the object store's own tools.",
        )
    overrides = [a for a in arguments if _first(a) in CONFIGURED]
    given = [a for a in arguments if _first(a) not in CONFIGURED]
    config = load_config(overrides)
    make = _generator(config)
    generate_files(config, to, **_parameters(make, config.domain.name, given))


def generate_files(config: Config, to: Path, **parameters: Any) -> None:
    """Call the domain's generator and say what it wrote.

    Raises:
        ConfigurationError: The domain has no generator, or refuses a value.
    """
    try:
        made = _generator(config)(to, **parameters)
    except ValueError as error:
        raise ConfigurationError(f"generate: {error}") from None
    for file in made.files:
        click.echo(f"  {file.name:<44} {file.rows:>10,} rows {file.bytes / 1e6:>8.1f} MB")
    click.echo(f"written to {to}; what was planted: {made.truth}")


def _first(argument: str) -> str:
    return argument.split("=", 1)[0].lstrip("+~").split(".", 1)[0].split("@", 1)[0]


def _generator(config: Config) -> Callable[..., Any]:
    if config.domain.generator is None:
        raise ConfigurationError(f"domain {config.domain.name} has no generator")
    try:
        generate: Callable[..., Any] = importlib.import_module(config.domain.generator).generate
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"domain.generator: {config.domain.generator} is not a module with a function generate: {error}",
            advice="Packaged ones are named tasks.generate.<domain>.generator.",
        ) from error
    return generate


def _parameters(make: Callable[..., Any], domain: str, given: Sequence[str]) -> dict[str, Any]:
    """The arguments as values of the types that the generator declares."""
    hints = get_type_hints(make)
    known = {
        name: hints[name]
        for name, parameter in inspect.signature(make).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    return dict(_parameter(known, domain, argument) for argument in given)


def _parameter(known: Mapping[str, Any], domain: str, argument: str) -> tuple[str, Any]:
    name, equals, text = argument.partition("=")
    if not equals or name not in known:
        raise ConfigurationError(
            f"generate: {argument!r} is not a parameter of domain {domain}",
            advice=f"Give key=value with one of: {', '.join(known)}.",
        )
    kind = known[name]
    allowed = get_args(kind)
    if allowed and text not in allowed:
        raise ConfigurationError(f"generate: {name}={text} is none of {', '.join(allowed)}")
    try:
        return name, text if allowed else kind(text)
    except ValueError:
        raise ConfigurationError(
            f"generate: {name}={text} is not of type {kind.__name__}"
        ) from None


COMMANDS = (generate_command,)
