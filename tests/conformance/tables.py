"""A table under test: short ways to write rows into it and to see what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from storage.base import TableStore
from storage.plans import MergePlan, difference, difference_plan
from storage.schemas import schema
from storage.sql import literal, quote
from storage.types import Commit, CommitRecord, TableRef, Version

NUMBERS = count(1)
COLUMNS = (("id", "bigint"), ("name", "string"), ("seq", "bigint"))
NAMES = tuple(name for name, _ in COLUMNS)

Row = tuple[Any, ...]


def record(token: str | None = None, **fields: Any) -> CommitRecord:
    """A commit record; its token is new where none is given."""
    return CommitRecord("run", token or f"token-{next(NUMBERS)}", **fields)


def in_order(rows: Iterable[Iterable[Any]]) -> list[Row]:
    """Rows as tuples in an order of their own: tables have none."""
    return sorted((tuple(row) for row in rows), key=repr)


@dataclass
class Table:
    """A table of id, name and sequence unless given another schema."""

    store: TableStore
    ref: TableRef
    schema: StructType = field(default_factory=lambda: schema(COLUMNS))

    @classmethod
    def fresh(cls, store: TableStore, columns: Sequence[tuple[str, str]] = COLUMNS) -> Table:
        """A table with a name that no other test uses; it does not exist yet."""
        return cls(store, TableRef("shop", "silver", f"t{next(NUMBERS)}"), schema(columns))

    def create(self, **options: Any) -> None:
        self.store.create(self.ref, self.schema, **({"track_changes": True} | options))

    def frame(self, *rows: Row, store: TableStore | None = None) -> DataFrame:
        """Rows of the table's columns and types as a DataFrame of the store's session."""
        names = [f.name for f in self.schema.fields]
        cast = ", ".join(
            f"CAST({quote(f.name)} AS {f.dataType.simpleString()}) AS {quote(f.name)}"
            for f in self.schema.fields
        )
        values = ", ".join(f"({', '.join(map(_sql, row))})" for row in rows)
        values = values or f"({', '.join('NULL' for _ in names)})"
        listed = f"SELECT {cast} FROM VALUES {values} AS v({', '.join(map(quote, names))})"
        listed = listed if rows else f"{listed} WHERE false"
        return (store or self.store).session.sql(listed).coalesce(1)

    def append(self, *rows: Row, token: str | None = None, **fields: Any) -> Commit:
        return self.store.append(self.ref, self.frame(*rows), record(token, **fields))

    def merge(self, plan: MergePlan, *rows: Row, token: str | None = None) -> Commit:
        return self.store.merge(self.ref, self.frame(*rows), plan, record(token))

    def make_equal(self, *rows: Row, compared: Sequence[str], token: str | None = None) -> Commit:
        """Merge the difference from these rows; `id` is the key.

        The difference stands apart from the table before it is merged, as that of a step does in its folder.
        """
        names = [f.name for f in self.schema.fields]
        changed = difference(self.store.read(self.ref), self.frame(*rows), ["id"], compared)
        changed = changed.localCheckpoint()
        plan = difference_plan(["id"], names)
        return self.store.merge(self.ref, changed, plan, record(token))

    def rows(self, at: Version | None = None) -> list[Row]:
        return in_order(self.store.read(self.ref, at).collect())

    def head(self) -> Version:
        return self.store.head(self.ref).version

    def added(self, after: Version, until: Version | None = None) -> list[Row]:
        return in_order(self.store.added(self.ref, after, until or self.head()).collect())

    def changes(self, after: Version, until: Version | None = None) -> list[Row]:
        """How the rows of two versions differ, the kind of change in front."""
        before, now = Counter(self.rows(after)), Counter(self.rows(until))
        kinds = {"delete": before - now, "insert": now - before}
        return in_order((kind, *row) for kind, rows in kinds.items() for row in rows.elements())


def _sql(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):  # Spark replaces ${name} in SQL
        return literal(value).replace("$", r"\u0024")
    return str(value)
