"""Which format each layer has, and what speaks against a choice."""

from __future__ import annotations

from conf.schema import TableFormat
from storage.registry import BRONZE_FORMATS, FORMATS
from tasks.spec import DomainSpec

REFUSED_BY_DELTA = " ,;{}()\n\t="
"""Signs that no column of a Delta table can have in its name, where columns are not mapped."""
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


def unnameable(formats: TableFormat, domain: DomainSpec) -> list[str]:
    """Columns whose names the format of their layer cannot have, each with its key."""
    mapped = formats.properties.get("delta", {}).get("delta.columnMapping.mode", "none") != "none"
    columns = [
        *(("bronze", t, list(s.columns), "header") for t, s in domain.bronze.items()),
        *(("silver", t, list(s.columns), "source") for t, s in domain.silver.items()),
        *(("gold", t, list(s.columns), "as") for t, s in domain.gold.items()),
    ]
    return [
        f"domain.{layer}.{table}.columns: {name!r} has a sign that Delta takes in no name of a column "
        f"(blank , ; {{ }} ( ) = tab line break); give it another name, by `{way}`, or choose format=iceberg"
        for layer, table, names, way in columns
        for name in names
        if chosen(formats)[layer] == "delta" and not mapped and set(name) & set(REFUSED_BY_DELTA)
    ]
