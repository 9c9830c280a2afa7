"""Composition of the configuration: the same for command line, flow parameters and schedules."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from conf import formats, places
from conf.domains import GROUP, absolute, domain_file, domain_folders, search_path
from conf.explain import explain, refuse_missing, unset_variables
from conf.overrides import chosen, refuse_additions, refuse_long, refuse_untrusted
from conf.schema import Catalog, Config
from storage import secrets
from storage.errors import ConfigurationError
from storage.formats import formats_for
from tasks.domain.spec import expanded
from tasks.domain.yaml_lines import unreadable
from tasks.validation import problems

CONF = Path(__file__).parent
DATE = "2018-09-03"
SEE_KEYS = "See the keys: lakehouse config"
PACKAGES = CONF.parent
_COMPOSING = threading.Lock()


def _register() -> None:
    schema = OmegaConf.structured(Config)
    for free in (
        schema.spark.conf,
        schema.format.properties,
        schema.paths.landing_options,
    ):  # their names are not ours to know
        OmegaConf.set_struct(free, False)
    store = ConfigStore.instance()
    store.store(name="schema", node=schema, replace=True)
    for name in formats_for():  # a format that another distribution adds is a choice like ours
        store.store(name=name, group="format", node={"name": name}, replace=True)
    OmegaConf.register_resolver("package", lambda relative: str(PACKAGES / relative), replace=True)
    OmegaConf.register_resolver("user_cache", _user_cache, replace=True)
    OmegaConf.register_resolver("secret", secrets.reference, replace=True)


def _user_cache(name: str) -> str:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(base) / name)


def compose_config(overrides: Sequence[str]) -> DictConfig:
    """Compose the configuration without resolving it; secrets stay references.

    Raises:
        ConfigurationError: A key, a type or a choice is wrong; the message names the key's full path. Or a
            file is not YAML; it names file and line.
    """
    refuse_additions(overrides)
    with _COMPOSING:  # Hydra's compose uses process-wide singletons
        _register()
        GlobalHydra.instance().clear()
        try:
            folders = domain_folders(overrides)
            _refuse_several(overrides, folders)
            with initialize_config_dir(str(CONF)):
                return compose("config", overrides=[*overrides, *search_path(folders)])
        except yaml.YAMLError as error:
            line, says = unreadable(error)
            file = getattr(getattr(error, "problem_mark", None), "name", "the configuration")
            raise ConfigurationError(f"{file}:{line}: {says}", advice="Fix the file.") from error
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise ConfigurationError(explain(error), advice=SEE_KEYS) from error


def load_parameters(
    groups: Mapping[str, str], overrides: Sequence[str], values: Mapping[str, Any]
) -> Config:
    """The configuration that the parameters of a flow ask for: untrusted input, all of it.

    Args:
        groups: The choice of each configuration group that has a parameter.
        overrides: `key=value`, of the keys that a form may set.
        values: Top-level values, which are never composed. An override of the same key takes precedence.

    Raises:
        ConfigurationError: As `load_config`, or an override is not allowed.
    """
    known = {group: choices(group) for group in (*groups, "spark")}
    given = refuse_untrusted(overrides, known)
    for key, value in values.items():
        for text in value if isinstance(value, list) else [value]:
            refuse_long(key, text)
    made = [chosen(group, choice, known[group]) for group, choice in groups.items()]
    return load_config(
        [*made, *overrides], {key: value for key, value in values.items() if key not in given}
    )


def load_config(overrides: Sequence[str], values: Mapping[str, Any] | None = None) -> Config:
    """Compose, resolve and check the configuration.

    Args:
        overrides: `key=value` in Hydra's grammar, which may refer to other values and the environment.
        values: Top-level values that are set as they are: nothing in them is resolved.

    Raises:
        ConfigurationError: As `compose_config`, or a value is missing, a layer cannot have the format
            chosen for it, a folder or the catalog's address cannot be used, or the domain is inconsistent.
    """
    config = resolved(compose_config(overrides))
    for key, value in (values or {}).items():
        setattr(config, key, value)
    refused = formats.problems(config.format)
    if refused:
        raise ConfigurationError("; ".join(refused), advice=SEE_KEYS)
    file = chosen_file(overrides, config.domain.name)
    place_roots(config, file)
    found = problems(config.domain, layers=config.layers, tables=config.tables)
    found += formats.unnameable(config.format, config.domain)
    found += inconsistent(config, file)
    if found:
        raise ConfigurationError(
            f"domain {config.domain.name}: " + "; ".join(found),
            advice=f"Fix {file} or the override that says so.",
        )
    config.domain = expanded(config.domain)
    if config.as_of and len(config.as_of) == len(DATE):
        config.as_of += " 23:59:59"
    places.place(config)
    if config.catalog.name == "postgres":
        _refuse_unusable(config.catalog)
    return config


def inconsistent(config: Config, file: Path) -> list[str]:
    """What is wrong with the domain's name, which has to be that of its file, and with `as_of`."""
    name, found = config.domain.name, []
    if file.is_file() and file.stem != name:  # a copy that kept it would work on the other's tables
        found.append(f"domain.name: {name!r}, but the file is {file.name}; name them alike")
    try:
        datetime.fromisoformat(config.as_of or DATE)
    except ValueError:
        found.append(f"as_of: {config.as_of!r} is not a date or instant like {DATE} 12:00:00")
    for name, seconds in asdict(config.locking).items():
        if not 0 <= seconds < math.inf:
            found.append(f"locking.{name}: {seconds} is not a number of seconds from 0")
    return found


def resolved(composed: DictConfig) -> Config:
    """The composed configuration as typed values, with a domain that nobody has checked.

    Raises:
        ConfigurationError: A value is missing, or a reference leads nowhere.
    """
    refuse_missing(composed)
    try:
        return cast("Config", OmegaConf.to_object(composed))
    except InterpolationResolutionError as error:
        raise unset_variables(composed) or ConfigurationError(
            explain(error), advice=SEE_KEYS
        ) from error
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigurationError(explain(error), advice=SEE_KEYS) from error


def chosen_file(overrides: Sequence[str], name: str) -> Path:
    """The file of the domain that these overrides choose; `name` where they choose none.

    Raises:
        ConfigurationError: Two folders have a domain of that name.
    """
    return domain_file(overrides, name, CONF)


def place_roots(config: Config, file: Path) -> None:
    """Let relative roots of the domain count from its file."""
    roots = config.domain.roots
    roots.sql, roots.checks = (str(absolute(r, file.parent)) for r in (roots.sql, roots.checks))


def domain_files(overrides: Sequence[str] = ()) -> dict[str, Path]:
    """The file of each domain that these overrides can choose, by name.

    Raises:
        ConfigurationError: A folder that they name holds no domains.
    """
    folders = [CONF, *domain_folders(overrides)]
    return {file.stem: file for place in folders for file in sorted((place / GROUP).glob("*.yaml"))}


def choices(group: str, folders: Sequence[Path] | None = None) -> list[str]:
    """What can be chosen of a configuration group; none where there is no such group.

    Args:
        group: Its name.
        folders: Folders of domains outside of the clone; those of the environment where not given.

    Raises:
        ConfigurationError: The environment names a folder that holds no domains.
    """
    if group == "format":
        return sorted(formats_for())
    outside = (domain_folders([]) if folders is None else folders) if group == GROUP else ()
    return sorted(
        file.stem for place in (CONF, *outside) for file in (place / group).glob("*.yaml")
    )


def _refuse_several(overrides: Sequence[str], folders: Sequence[Path]) -> None:
    """Refuse what Hydra takes for a sweep, and anything but one name for a group of choices or a folder."""
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key, value = override.key_or_group, override.value()
        there = choices(key, folders)
        if there and not isinstance(value, str):
            raise ConfigurationError(
                f"{override.input_line}: name one choice of {key}: {', '.join(there)}"
            )
        if override.is_sweep_override():
            raise ConfigurationError(
                f"{override.input_line}: one value, not several",
                advice=f"Write {key}=[a,b] for a list, or quote the value: {key}='a,b'",
            )
        if key.startswith("paths.") and isinstance(value, (bool, int, float)):
            written = (override.input_line or "").split("=", 1)[1]
            raise ConfigurationError(
                f"{override.input_line}: read as {value}, not as a name",
                advice=f"Quote it: {key}=\"'{written}'\"",
            )


def _refuse_unusable(catalog: Catalog) -> None:
    from storage.postgres import PostgresAddress  # noqa: PLC0415 - its driver is loaded on demand

    PostgresAddress(catalog.url, catalog.user, catalog.password)
