"""Which format each layer has, and what speaks against a choice."""

from __future__ import annotations

from conf.schema import TableFormat
from storage.registry import BRONZE_FORMATS, FORMATS

LAYERS = ("bronze", "silver", "gold", "ops")


def chosen(formats: TableFormat) -> dict[str, str]:
    """The format of each layer, and of the platform's own tables."""
    return {layer: getattr(formats, layer) for layer in LAYERS}


def apart(formats: TableFormat) -> dict[str, str]:
    """The layers that have another format than the group's name says."""
    return {layer: name for layer, name in chosen(formats).items() if name != formats.name}


def described(formats: TableFormat) -> str:
    """All formats in words: `delta`, or `delta (bronze parquet)`."""
    others = ", ".join(f"{layer} {name}" for layer, name in apart(formats).items())
    return f"{formats.name} ({others})" if others else formats.name


def problems(formats: TableFormat) -> list[str]:
    """What is wrong with the choice, in words."""
    found = []
    for layer, name in chosen(formats).items():
        allowed = BRONZE_FORMATS if layer == "bronze" else FORMATS
        if name not in BRONZE_FORMATS:
            found.append(f"format.{layer}: {name!r} is none of {', '.join(allowed)}")
        elif name not in allowed:
            found.append(
                f"format.{layer}: {name} keeps no keys, so it can only add rows: for bronze only; "
                f"choose {' or '.join(allowed)}"
            )
    return found
