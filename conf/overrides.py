"""Which overrides may come from where: what comes from a form is untrusted input."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Collection, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString
from hydra.errors import HydraException

from conf.explain import explain, nearest
from storage import secrets
from storage.errors import ConfigurationError

ALLOWED_IN_PARAMETERS = (
    "as_of",
    "domain.score_threshold",
    "domain.silver.*.quarantine.*",
    "domain.gold.*.volume.tolerance",
    "retry.*",
    "spark",
    "spark.shuffle_partitions",
    "spark.default_parallelism",
    "workers",
)
"""Keys that a deployment's parameter `overrides` may set, `*` being one part of a key; the rest belongs to
the deployment itself."""
LONGEST = 1_000
"""Characters of a text in a flow parameter."""


def refuse_additions(overrides: Sequence[str]) -> None:
    """Refuse overrides that change the structure instead of a value.

    Raises:
        ConfigurationError: An override adds or deletes keys, configures Hydra itself, or is no
            `key=value`.
    """
    for override in overrides:
        if override.startswith("=") or ("=" not in override and not override.startswith("~")):
            raise ConfigurationError(
                f"{override!r} is not an override", advice="Write key=value, for example env=dev"
            )
        key = override.split("=", 1)[0]
        if key.startswith(("+", "~")):
            raise ConfigurationError(
                f"{override!r}: keys can be set, not added or deleted",
                advice=f"Write {key.lstrip('+~ ')}=... without the sign in front.",
            )
        if key.split(".")[0].split("/")[0] == "hydra" or "_target_" in override:
            raise ConfigurationError(f"{override!r}: Hydra itself is not configurable here")


def refuse_untrusted(overrides: Sequence[str], choices: Mapping[str, Collection[str]]) -> set[str]:
    """Refuse overrides that a flow parameter may not set.

    They are checked as Hydra reads them: an escaped character is the character itself.

    Args:
        overrides: As they were given.
        choices: The choices of each configuration group.

    Returns:
        The keys that they set.

    Raises:
        ConfigurationError: The key is not in `ALLOWED_IN_PARAMETERS`, the value refers to another one, or
            it is none of a group's choices.
    """
    for override in overrides:
        refuse_long("overrides", override)
    refuse_additions(overrides)
    return {_judged(override, choices) for override in overrides}


def refuse_long(name: str, text: str) -> None:
    """Refuse a text that is too long for any name or value.

    Raises:
        ConfigurationError: It is longer than `LONGEST`.
    """
    if len(text) > LONGEST:
        raise ConfigurationError(
            f"{name}: {text[:40]!r}... has {len(text):,} characters, at most {LONGEST:,} are taken"
        )


def chosen(group: str, choice: str, choices: Collection[str]) -> str:
    """The override that makes a choice of a configuration group, for Hydra nothing but text.

    Raises:
        ConfigurationError: There is no such choice.
    """
    refuse_long(group, choice)
    if choice not in choices:
        raise ConfigurationError(f"{group}: no choice {choice!r}{nearest(choice, sorted(choices))}")
    return f"{group}={QuotedString(choice, Quote.single).with_quotes()}"


def assigned(key: str, value: str) -> str:
    """The override that gives a key a text, in quotes where Hydra would read another one."""
    plain = f"{key}={value}"
    try:
        [override] = OverridesParser.create().parse_overrides([plain])
        if override.value() == value:
            return plain
    except HydraException:
        pass
    return f"{key}={QuotedString(value, Quote.single).with_quotes()}"


def _judged(text: str, choices: Mapping[str, Collection[str]]) -> str:
    key = text.split("=", 1)[0]
    if not any(_matches(key, pattern) for pattern in ALLOWED_IN_PARAMETERS):
        raise ConfigurationError(
            f"override {key!r} is not allowed in a flow parameter",
            advice="Allowed are: " + ", ".join(ALLOWED_IN_PARAMETERS),
        )
    _refuse_references(key, text)
    override, value = _read(text)
    if override.type is not OverrideType.CHANGE or override.package or override.is_sweep_override():
        raise ConfigurationError(
            f"override {key!r}: one value is wanted, not {text!r}",
            advice=f"Write {key}=VALUE, and quotes around a text with signs: {key}='a,b'",
        )
    _refuse_references(key, value)
    if key in choices:
        chosen(key, str(override.value()), choices[key])
    return key


def _refuse_references(key: str, text: str) -> None:
    if "${" in text or secrets.names(text):
        raise ConfigurationError(
            f"override {key!r}: references are not allowed in a flow parameter",
            advice="Give the value itself.",
        )


def _matches(key: str, pattern: str) -> bool:
    parts, wanted = key.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _read(text: str) -> tuple[Override, str]:
    """The override, and its value as Hydra understands it, in one text."""
    try:
        [override] = OverridesParser.create().parse_overrides([text])
        value = override.value()
    except HydraException as error:
        raise ConfigurationError(explain(error)) from error
    return override, json.dumps(value, ensure_ascii=False, default=str)
