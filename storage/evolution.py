"""Changes of a table's columns that keep every row as it is: found by comparison, made by a store; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.types import StructType

from storage.errors import IncompatibleSchemaError
from storage.schemas import arrow_schema, named_types, schema
from storage.types import CommitRecord

FIRST = ""
"""In the place of a column's name: before all others."""


@dataclass(frozen=True)
class AddColumn:
    """A new column; the rows that are there have null in it."""

    name: str
    type: str
    after: str = FIRST

    def __str__(self) -> str:
        return f"{self.name} {self.type} is missing"


@dataclass(frozen=True)
class WidenColumn:
    """A column takes a type that holds each value of its present one exactly."""

    name: str
    type: str

    def __str__(self) -> str:
        return f"{self.name} is narrower than {self.type}"


@dataclass(frozen=True)
class AllowNulls:
    """A column takes nulls."""

    name: str

    def __str__(self) -> str:
        return f"{self.name} does not take nulls"


Change = AddColumn | WidenColumn | AllowNulls


@dataclass(frozen=True)
class Evolution:
    """What leads from one schema to another.

    Attributes:
        changes: What `TableStore.evolve` can do.
        breaking: What no change in place can do, in words.
    """

    changes: tuple[Change, ...]
    breaking: tuple[str, ...]


def widens(old: str, new: str) -> bool:
    """Whether each value of a type has its equal in the other: int to bigint, decimal to more digits."""
    if (old, new) == ("int", "bigint"):
        return True
    have, want = (re.fullmatch(r"decimal\((\d+),\s*(\d+)\)", kind) for kind in (old, new))
    return bool(have and want and have[2] == want[2] and int(have[1]) < int(want[1]))


def compare(found: pa.Schema, wanted: StructType | pa.Schema) -> Evolution:
    """The changes that make a table's columns those wanted, and what stands against it.

    That wanted columns are not null is passed over, as `TableStore.create` does.
    """
    have, want = named_types(found), named_types(wanted)
    places = dict(zip(want, (FIRST, *want), strict=False))
    changes: list[Change] = [
        AddColumn(name, kind, places[name]) for name, kind in want.items() if name not in have
    ]
    breaking: list[str] = []
    for name, kind in have.items():
        if name not in want:
            breaking.append(f"{name} {kind} is not wanted any more{_renamed(kind, changes)}")
        elif widens(kind, want[name]):
            changes.append(WidenColumn(name, want[name]))
        elif kind != want[name]:
            how = "narrower" if widens(want[name], kind) else "another type"
            breaking.append(f"{name} is {kind}, wanted {want[name]}, which is {how}")
    target = wanted if isinstance(wanted, pa.Schema) else arrow_schema(wanted)
    changes += [
        AllowNulls(f.name)
        for f in found
        if not f.nullable and f.name in want and target.field(f.name).nullable
    ]
    if (old := [n for n in have if n in want]) != (new := [n for n in want if n in have]):
        breaking.append(f"the order of the columns is {', '.join(old)}, wanted {', '.join(new)}")
    return Evolution(tuple(changes), tuple(breaking))


def _renamed(kind: str, changes: Sequence[Change]) -> str:
    """A guess for the reader: a column that is new with the same type."""
    new = [c.name for c in changes if isinstance(c, AddColumn) and c.type == kind]
    return f" (was it renamed to {' or '.join(new)}?)" if new else ""


def remaining(label: str, found: pa.Schema, changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes that a table does not have yet.

    Raises:
        IncompatibleSchemaError: A change does not fit the table's columns.
    """
    left: list[Change] = []
    now = found
    for change in changes:
        if not _made(label, now, change):
            left.append(change)
            now = evolved(now, [change])
    return tuple(left)


def _made(label: str, found: pa.Schema, change: Change) -> bool:
    have = named_types(found)
    kind = have.get(change.name)
    if isinstance(change, AddColumn):
        if kind is None and change.after != FIRST and change.after not in have:
            raise _refused(
                label, f"{change.name} cannot come after {change.after}, which is absent"
            )
        if kind not in (None, change.type):
            raise _refused(label, f"{change.name} is there already, as {kind}, not {change.type}")
        return kind is not None
    if kind is None:
        raise _refused(label, f"there is no column {change.name}")
    if isinstance(change, AllowNulls):
        return bool(found.field(change.name).nullable)
    if kind != change.type and not widens(kind, change.type):
        raise _refused(label, f"{change.name} is {kind}, which {change.type} does not hold exactly")
    return kind == change.type


def _refused(label: str, problem: str) -> IncompatibleSchemaError:
    return IncompatibleSchemaError(
        f"{label}: {problem}",
        advice="Columns can be added, take null, and widen from int to bigint or to a decimal of "
        "more digits and the same scale.",
    )


def evolved(found: pa.Schema, changes: Sequence[Change]) -> pa.Schema:
    """The columns after the changes."""
    fields: list[pa.Field] = list(found)
    for change in changes:
        names = [f.name for f in fields]
        if isinstance(change, AddColumn):
            place = 0 if change.after == FIRST else names.index(change.after) + 1
            fields.insert(place, arrow_schema(schema([(change.name, change.type)])).field(0))
            continue
        place = names.index(change.name)
        if isinstance(change, AllowNulls):
            fields[place] = fields[place].with_nullable(True)
        else:
            wider = arrow_schema(schema([(change.name, change.type)])).field(0)
            fields[place] = wider.with_nullable(fields[place].nullable)
    return pa.schema(fields)


def carried(record: CommitRecord | None, changes: Sequence[Change]) -> CommitRecord | None:
    """The newest record as the commit of a change carries it on."""
    return record.carried().as_evolution(changes) if record is not None else None
