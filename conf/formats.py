"""Which format each layer has, and what speaks against a choice."""

from __future__ import annotations

from conf.schema import TableFormat
from storage.formats import formats_for, known
from storage.formats.format import EVERY_LAYER
from tasks.domain.spec import DomainSpec


def chosen(formats: TableFormat) -> dict[str, str]:
    """The format of each layer, and of the platform's own tables."""
    return {layer: getattr(formats, layer) for layer in EVERY_LAYER}


def layer_formats(formats: TableFormat) -> dict[str, str]:
    """The layers that have another format than the group's name says."""
    return {layer: name for layer, name in chosen(formats).items() if name != formats.name}


def described(formats: TableFormat) -> str:
    """All formats in words: `delta`, or `delta (bronze parquet)`."""
    others = ", ".join(f"{layer} {name}" for layer, name in layer_formats(formats).items())
    return f"{formats.name} ({others})" if others else formats.name


def problems(formats: TableFormat) -> list[str]:
    """What is wrong with the choice, in words."""
    found = []
    for layer, name in chosen(formats).items():
        allowed = formats_for(layer)
        if name not in known():
            found.append(f"format.{layer}: {name!r} is none of {', '.join(allowed)}")
        elif name not in allowed:
            found.append(
                f"format.{layer}: {name} {known()[name].lacks}: for {', '.join(known()[name].layers)} "
                f"only; choose {' or '.join(allowed)}"
            )
    return found


def unnameable(formats: TableFormat, domain: DomainSpec) -> list[str]:
    """Columns whose names the format of their layer cannot have, each with its key."""
    columns = [
        *(("bronze", t, list(s.columns), "header") for t, s in domain.bronze.items()),
        *(("silver", t, list(s.columns), "source") for t, s in domain.silver.items()),
        *(("gold", t, list(s.columns), "as") for t, s in domain.gold.items()),
    ]
    found = []
    for layer, table, names, way in columns:
        made = known().get(chosen(formats)[layer])
        if made is None:
            continue
        for name in names:
            reason = made.refuses_name(name, formats.properties.get(made.name, {}))
            if reason:
                found.append(
                    f"domain.{layer}.{table}.columns: {name!r} {reason}; give it another name, "
                    f"by `{way}`, or choose {_takes(name, formats)}"
                )
    return found


def _takes(name: str, formats: TableFormat) -> str:
    """A format that takes a name of a column, as it is written on the command line."""
    takes = (
        f"format={other}"
        for other in formats_for()
        if not known()[other].refuses_name(name, formats.properties.get(other, {}))
    )
    return next(takes, "another format")
