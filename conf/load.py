"""Composition of the configuration: the same for command line, flow parameters and schedules."""

from __future__ import annotations

import difflib
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.overrides import refuse_additions
from conf.schema import Config
from storage.errors import ConfigurationError
from tasks.validation import problems

CONF = Path(__file__).parent
PACKAGES = CONF.parent
_COMPOSING = threading.Lock()


def _register() -> None:
    ConfigStore.instance().store(name="schema", node=Config, replace=True)
    OmegaConf.register_resolver("package", lambda relative: str(PACKAGES / relative), replace=True)
    OmegaConf.register_resolver("user_cache", _user_cache, replace=True)


def _user_cache(name: str) -> str:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(base) / name)


def compose_config(overrides: Sequence[str]) -> DictConfig:
    """Compose the configuration without resolving it; secrets stay references.

    Raises:
        ConfigurationError: A key, a type or a choice is wrong; the message names the key's full path.
    """
    refuse_additions(overrides)
    with _COMPOSING:  # Hydra's compose uses process-wide singletons
        _register()
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(str(CONF)):
                return compose("config", overrides=list(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigurationError(
                explain(error), advice="See the keys: lakehouse config"
            ) from error


def load_config(overrides: Sequence[str]) -> Config:
    """Compose, resolve and check the configuration.

    Raises:
        ConfigurationError: As `compose_config`, or a value is missing, or the domain is inconsistent.
    """
    composed = compose_config(overrides)
    try:
        OmegaConf.resolve(composed)
        missing = sorted(OmegaConf.missing_keys(composed))
        if missing:
            raise ConfigurationError(
                f"no value for {', '.join(missing)}", advice=f"Add for example: {missing[0]}=..."
            )
        config = cast("Config", OmegaConf.to_object(composed))
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigurationError(explain(error), advice="See the keys: lakehouse config") from error
    found = problems(config.domain, layers=config.layers, tables=config.tables)
    if found:
        raise ConfigurationError(
            f"domain {config.domain.name}: " + "; ".join(found),
            advice=f"Mend conf/domain/{config.domain.name}.yaml or the override that says so.",
        )
    _absolute(config)
    return config


def _absolute(config: Config) -> None:
    for name in ("landing", "lake", "staging", "logs", "cache"):
        setattr(config.paths, name, str(Path(getattr(config.paths, name)).expanduser().absolute()))
    config.spark.local_dir = str(Path(config.spark.local_dir).expanduser().absolute())
    config.spark.log_file = str(Path(config.spark.log_file).expanduser().absolute())


def explain(error: BaseException) -> str:
    """One readable message for an error of Hydra or OmegaConf, with the nearest keys or choices."""
    parts = [line.strip() for line in str(error).splitlines() if line.strip()]
    parts = [p for p in parts if not p.startswith(("object_type", "reference_type"))]
    cause = error.__cause__
    if cause is not None and isinstance(cause, OmegaConfBaseException):
        parts += [
            line.strip()
            for line in str(cause).splitlines()
            if line.strip() and not line.strip().startswith(("object_type", "reference_type"))
        ]
    parts = [p for p in parts if not p.startswith("Set the environment variable HYDRA_FULL_ERROR")]
    text = " | ".join(dict.fromkeys(parts))
    wrong = re.search(r"Key '([^']+)' (?:is not in struct|not in '\w+')", text)
    full = re.search(r"full_key: (\S+)", text)
    if wrong and full:
        choices = _siblings(full.group(1))
        near = difflib.get_close_matches(wrong.group(1), choices, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        return f"unknown key {full.group(1)}: {hint}choices are {', '.join(choices)}"
    return text


def _siblings(full_key: str) -> list[str]:
    """Names beside a key in the schema; empty where the path itself is unknown."""
    node: object = OmegaConf.structured(Config)
    for part in full_key.split(".")[:-1]:
        if not isinstance(node, DictConfig) or part not in node:
            return []
        node = node._get_node(part)
    return sorted(str(k) for k in node) if isinstance(node, DictConfig) else []
