"""Errors of Hydra and OmegaConf in one readable line each, the full key first."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
    ValidationError,
)

from storage.errors import ConfigurationError

_VARIABLE = re.compile(r"\$\{oc\.env:([^,${}]+)\}")
"""A reference to an environment variable without a default."""
_KINDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list, which is written [a,b]",
    dict: "a mapping, which is written {key: value}",
}


def explain(error: BaseException) -> str:
    """One readable message for an error of Hydra or OmegaConf, with the nearest keys or choices."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"{group}: no choice {choice!r}{nearest(choice, error.options)}"
    if isinstance(error, OverrideParseException):
        reason = error.message.splitlines()[1:2]
        return (
            f"{error.override}: not readable as key=value: {''.join(reason)}; "
            "a value with signs such as ( or , needs quotes: key='value'"
        )
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        return _explain_key(cause, cause.full_key)
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())


def _explain_key(error: OmegaConfBaseException, full_key: str) -> str:
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        parent = error.parent_node
        beside = sorted(str(k) for k in parent if k != "hydra") if parent is not None else []
        return f"unknown key {full_key}{nearest(str(error.key), beside)}"
    wanted = _kind(error)
    if wanted:
        value = "null" if error.value is None else repr(error.value)
        return f"{full_key}: {value} is not {wanted}"
    return f"{full_key}: {(error.msg or str(error)).splitlines()[0]}"


def nearest(wrong: str, choices: Sequence[str]) -> str:
    """The end of a message about a wrong name: the names that are like it, and all that there are."""
    near = difflib.get_close_matches(wrong, choices, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ";"
    return f"{hint} choices are {', '.join(choices)}" if choices else hint.rstrip(";")


def _kind(error: OmegaConfBaseException) -> str | None:
    """What the schema wants where the error arose, in words; None where it does not say."""
    if not isinstance(error, ValidationError) or error.object_type is None:
        return None
    hint: Any = get_type_hints(error.object_type).get(str(error.key))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(member.name for member in hint)}"
    optional = [kind for kind in get_args(hint) if kind is not type(None)]
    plain = optional[0] if get_origin(hint) not in _KINDS and optional else hint
    return _KINDS.get(get_origin(plain) or plain)


def missing_keys(composed: DictConfig) -> list[str]:
    """The full keys of values that are still to be given."""
    return [key for key, value in _leaves(composed) if value == "???"]


def refuse_missing(composed: DictConfig) -> None:
    """Refuse a configuration in which a value is still to be given.

    Raises:
        ConfigurationError: The message names every such key.
    """
    missing = missing_keys(composed)
    if missing:
        raise ConfigurationError(
            f"no value for {', '.join(missing)}",
            advice=f"Give {' '.join(f'{key}=...' for key in missing)}",
        )


def unset_keys(composed: DictConfig) -> list[tuple[str, str]]:
    """Keys that refer to environment variables which are not set, with the variable."""
    return [
        (key, name)
        for key, value in _leaves(composed)
        for name in _VARIABLE.findall(str(value))
        if name not in os.environ
    ]


def unset_variables(composed: DictConfig) -> ConfigurationError | None:
    """The error that names the environment variables which are needed and not set; None without such."""
    unset = unset_keys(composed)
    if not unset:
        return None
    return ConfigurationError(
        "; ".join(f"{key}: the environment variable {name} is not set" for key, name in unset),
        advice="; ".join(f"set {name} or give {key}=..." for key, name in unset),
    )


def _leaves(composed: DictConfig) -> Iterator[tuple[str, object]]:
    """Every value as it is written, references unresolved, with its full key."""
    pending = [("", OmegaConf.to_container(composed, resolve=False))]
    while pending:
        path, node = pending.pop(0)
        if isinstance(node, dict):
            start = f"{path}." if path else ""
            pending += [(start + str(key), value) for key, value in node.items()]
        elif isinstance(node, list):
            pending += [(f"{path}[{index}]", value) for index, value in enumerate(node)]
        else:
            yield path, node
