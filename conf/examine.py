"""What is wrong with a domain's declarations: all of it at once, each with its line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf import formats
from conf.explain import explain, missing_keys, unset_keys
from conf.load import chosen_file, compose_config, inconsistent, place_roots, resolved
from conf.schema import Config
from storage.errors import ConfigurationError
from tasks.authoring.inspection.findings import Findings
from tasks.domain.spec import DomainSpec, expanded
from tasks.domain.yaml_lines import Lines, read, unreadable
from tasks.validation import problems

_CIRCLE = "tables read each other in a cycle: "


@dataclass(frozen=True)
class Examined:
    """A domain that was read, and what was found so far.

    Attributes:
        config: With the domain as the platform runs it, whatever was found; None where it could not be
            composed.
    """

    config: Config | None
    findings: Findings


def examine(name: str, file: Path, overrides: Sequence[str]) -> Examined:
    """Compose a domain and check how its declarations fit together.

    Args:
        name: The domain.
        file: Its file.
        overrides: Further overrides of the configuration.
    """
    found, chosen = Findings(file, Lines(None)), [*overrides, f"domain={name}"]
    written = _written(name, chosen, found)
    if written is None:
        return Examined(None, found)
    try:
        composed = compose_config(chosen)
        missing = [key for key in missing_keys(composed) if key.startswith("domain.")]
        for key in missing:
            found.error(key, "no value is given")
        unset = _without_variables(composed, found)
        config = None if missing else resolved(composed)
    except ConfigurationError as error:
        faults = _faults(written, ())
        for key, text in faults or [("", error.message)]:
            found.error(key, text)
        return Examined(None, found)
    if config is None:
        return Examined(None, found)
    place_roots(config, file)
    for text in (
        *problems(config.domain),
        *formats.problems(config.format),
        *formats.unnameable(config.format, config.domain),
        *inconsistent(config, file),
    ):
        if text.startswith(_CIRCLE):
            first = text.removeprefix(_CIRCLE).split(" -> ", maxsplit=1)[0]
            found.error(f"domain.{first}", text)
        else:
            key, _, said = text.partition(": ")
            if key not in unset:
                found.error(key, said)
    config.domain = expanded(config.domain)
    return Examined(config, found)


def _written(name: str, overrides: Sequence[str], found: Findings) -> Any:
    """What the domain's file holds; None where it is not readable or not the only one, which is found."""
    try:
        chosen_file(overrides, name)
        found.lines = Lines(read(found.file))
        return OmegaConf.to_container(OmegaConf.load(found.file), resolve=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        line, says = unreadable(error)
        found.error_at(found.file, line, "", says)
    except ConfigurationError as error:
        found.error("", error.message)
    except OmegaConfBaseException as error:
        found.error("", explain(error))
    return None


def _without_variables(composed: DictConfig, found: Findings) -> set[str]:
    """Put names in the place of environment variables that are not set here; the keys that had them."""
    unset = [(k, name) for k, name in unset_keys(composed) if k.startswith("domain.")]
    for key, name in unset:
        found.warn(
            key, f"the environment variable {name} is not set here; its value is not checked"
        )
    if unset:
        written = OmegaConf.to_container(composed.domain, resolve=False)
        composed.merge_with({"domain": _named(written, {name for _, name in unset})})
    return {key for key, _ in unset}


def _named(node: Any, variables: Collection[str]) -> Any:
    """The values with names in the place of references to the variables."""
    if isinstance(node, dict):
        return {key: _named(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [_named(value, variables) for value in node]
    for name in variables if isinstance(node, str) else ():
        node = node.replace(f"${{oc.env:{name}}}", name)
    return node


def _faults(node: Any, path: tuple[str, ...]) -> list[tuple[str, str]]:
    """The smallest parts of a domain's file that its schema refuses, each with its key."""
    given: Any = node
    for key in reversed(path):
        given = {key: given}
    schema = OmegaConf.create({"domain": OmegaConf.structured(DomainSpec)})
    try:
        OmegaConf.merge(schema, {"domain": given})
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        below = [
            fault
            for key, value in (node.items() if isinstance(node, dict) else ())
            for fault in _faults(value, (*path, str(key)))
        ]
        key = ".".join(("domain", *path))
        return below or [(key, explain(error).removeprefix(f"{key}: "))]
    return []
