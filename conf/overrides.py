"""Which overrides may come from where: an override from a form is untrusted input."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

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
"""Keys that a deployment's parameter `overrides` may set; the rest belongs to the deployment itself."""


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


def refuse_untrusted(overrides: Sequence[str]) -> None:
    """Refuse overrides that a flow parameter may not set.

    Raises:
        ConfigurationError: The key is not in `ALLOWED_IN_PARAMETERS`, or the value is a reference.
    """
    refuse_additions(overrides)
    for override in overrides:
        key, value = override.split("=", 1)
        if not any(fnmatch.fnmatchcase(key, pattern) for pattern in ALLOWED_IN_PARAMETERS):
            raise ConfigurationError(
                f"override {key!r} is not allowed in a flow parameter",
                advice="Allowed are: " + ", ".join(ALLOWED_IN_PARAMETERS),
            )
        if "${" in value or secrets.names(value):
            raise ConfigurationError(
                f"override {key!r}: references are not allowed in a flow parameter",
                advice="Give the value itself.",
            )
