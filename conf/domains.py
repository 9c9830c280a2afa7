"""Domains outside of the clone: folders that join Hydra's search path, and where a domain's file is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import OmegaConf

from storage.errors import ConfigurationError

CONF = Path(__file__).parent
GROUP = "domain"
KEY, VARIABLE = "domains", "LAKEHOUSE_DOMAINS"


def domain_folders(overrides: Sequence[str]) -> list[Path]:
    """The folders that `domains=...` names, else those of the environment variable; absolute.

    Each holds `domain/NAME.yaml`. Several are separated as in PATH.

    Raises:
        ConfigurationError: One of them is no such folder.
    """
    given = _given(overrides, KEY)
    source = VARIABLE if given is None else KEY
    folders = of_environment() if given is None else _named(given)
    for folder in folders:
        if not (folder / GROUP).is_dir():
            raise ConfigurationError(
                f"{source}: there is no folder {folder / GROUP}",
                advice=f"Put the domain's file there, as {folder / GROUP / 'NAME.yaml'}, or begin with: "
                f"lakehouse init domain NAME --from FILE.csv --to {folder}",
            )
    return folders


def of_environment() -> list[Path]:
    """The folders that the environment variable names; absolute. One of them may be about to be made."""
    return _named(os.environ.get(VARIABLE, ""))


def _named(paths: str) -> list[Path]:
    return [absolute(part) for part in paths.split(os.pathsep) if part]


def search_path(folders: Sequence[Path]) -> list[str]:
    """The override that adds the folders to Hydra's own search path."""
    entries = ",".join(  # Hydra reads no %20
        QuotedString(f"file://{folder}", Quote.single).with_quotes() for folder in folders
    )
    return [f"hydra.searchpath=[{entries}]"] if folders else []


def domain_file(overrides: Sequence[str], name: str, conf: Path = CONF) -> Path:
    """The file of the domain that these overrides choose.

    Args:
        overrides: As they were composed.
        name: The composed domain's name, for where no override chooses one.
        conf: The clone's own configuration.

    Raises:
        ConfigurationError: Two folders have a domain of that name, so that one would hide the other.
    """
    file = f"{_given(overrides, GROUP) or name}.yaml"
    places = [folder / GROUP / file for folder in (conf, *domain_folders(overrides))]
    found = [path for path in places if path.is_file()]
    if len(found) > 1:
        raise ConfigurationError(
            f"domain {name}: there are two, {found[0]} and {found[1]}",
            advice="Rename one of the files, and its `name`: the databases have the domain's name.",
        )
    return found[0] if found else places[0]


def _given(overrides: Sequence[str], key: str) -> str | None:
    """The value of the last override of a key, without references; None where none has it."""
    found = None
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        if override.key_or_group == key:
            found = str(OmegaConf.create({key: override.value()})[key] or "")
    return found


def absolute(path: str | Path, start: Path | None = None) -> Path:
    """The path without `~` and `..`; a relative one counts from `start`, else the working directory."""
    return Path(os.path.abspath((start or Path.cwd()) / Path(path).expanduser()))
