"""The same operations on every format: the same rows, records, counts, changes and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from storage.base import TableStore
from storage.errors import LakehouseError
from storage.formats import formats_for
from storage.plans import MergePlan, refresh_plan, upsert_plan
from storage.types import Commit, TableRef, Version
from tests.conformance.tables import NAMES, Row, Table, in_order, record

Step = Callable[[Table, list[Version]], Commit]

STEPS: dict[str, Step] = {
    "append": lambda t, v: t.append((1, "a", 1), (2, "b", 1), (None, None, None), token="s1"),
    "append again": lambda t, v: t.append((9, "x", 9), token="s1"),
    "append nothing": lambda t, v: t.append(token="s2"),
    "upsert": lambda t, v: t.merge(
        upsert_plan(["id"], NAMES, ["seq"]), (1, "A", 2), (2, "old", 0), (3, "c", 1), token="s3"
    ),
    "duplicates": lambda t, v: t.merge(
        upsert_plan(["id"], NAMES, ["seq"]), (7, "p", 2), (7, "q", 2), token="s4"
    ),
    "refresh": lambda t, v: t.merge(
        refresh_plan(["id"], NAMES, ["seq"], ["name"]), (3, "C", 1), (2, "b", 1), token="s5"
    ),
    "delete matches": lambda t, v: t.merge(
        MergePlan(("id",), NAMES, "true", delete_when="s.name IS NULL"),
        (3, None, 1), (4, "d", 1), token="s6",
    ),
    "append a known key": lambda t, v: t.append((4, "D2", 2), token="s7"),
    "delete nothing": lambda t, v: t.store.delete(t.ref, "id = 99", record("s9")),
    "delete": lambda t, v: t.store.delete(t.ref, "id IS NULL OR name = 'D2'", record("s10")),
    "checkpoint": lambda t, v: t.store.checkpoint(t.ref, record("s11")),
    "difference": lambda t, v: t.make_equal(
        (1, "A", 2), (6, None, 6), compared=["name", "seq"], token="s12"
    ),
    "roll back": lambda t, v: t.store.rollback(t.ref, v[4], record("s13")),
    "unknown version": lambda t, v: t.store.rollback(t.ref, Version("999999"), record("s14")),
    "other columns": lambda t, v: t.store.append(
        t.ref, t.store.session.sql("SELECT 1 AS z"), record("s15")
    ),
    "overwrite": lambda t, v: t.store.overwrite(t.ref, t.frame((8, "h", 8)), record("s16")),
    "delete all": lambda t, v: t.store.delete(t.ref, "true", record("s17")),
    "back to the beginning": lambda t, v: t.store.rollback(t.ref, v[0], record("s18")),
}  # fmt: skip


@pytest.fixture
def tables(stores: dict[str, TableStore]) -> Iterator[dict[str, Table]]:
    made = {name: Table.fresh(stores[name]) for name in formats_for()}
    for table in made.values():
        table.create()
    yield made
    for table in made.values():
        table.store.drop(table.ref)


@dataclass
class Seen:
    """What a format showed so far."""

    table: Table
    versions: list[Version] = field(default_factory=list)
    rows: list[list[Row]] = field(default_factory=list)

    def do(self, step: Step) -> dict[str, Any]:
        """Do a step and tell all that can be seen of it, but for the names of versions."""
        table, before = self.table, self.versions[-1]
        try:
            result = step(table, self.versions)
            outcome = (result.operation, result.token, result.repeated)
        except LakehouseError as error:
            outcome = ("error", type(error).__name__, False)
        history = table.store.history(table.ref)
        self.versions.append(history[0].version)
        self.rows.append(table.rows())
        return {
            "outcome": outcome,
            "committed": self.versions[-1] != before,
            "rows": self.rows[-1],
            "history": [entry.record and entry.record.token for entry in history],
            "counted": table.store.stats(table.ref).rows,
            "arrow": in_order(
                row.values() for row in table.store.read_arrow(table.ref).to_pylist()
            ),
        }


def test_one_sequence_of_operations_gives_the_same_answers(tables: dict[str, Table]) -> None:
    seen = {name: Seen(table, [table.head()], [[]]) for name, table in tables.items()}
    for title, step in STEPS.items():
        answers = {name: one.do(step) for name, one in seen.items()}
        reference = answers["delta"]
        assert reference["arrow"] == reference["rows"], title
        assert reference["counted"] == len(reference["rows"]), title
        for name, answer in answers.items():
            assert answer == reference, (title, name)
    assert [len(rows) for rows in seen["delta"].rows] == [
        0, 3, 3, 3, 4, 4, 4, 4, 5, 5, 3, 3, 2, 4, 4, 4, 1, 0, 0
    ]  # fmt: skip
    for one in seen.values():
        for number in (2, 7, 13):
            assert one.table.rows(one.versions[number]) == one.rows[number]


def test_the_formats_share_a_lake_without_meeting(stores: dict[str, TableStore]) -> None:
    ref = TableRef("shop", "gold", "shared_name")
    delta, iceberg = (Table(stores[name], ref) for name in ("delta", "iceberg"))
    delta.create()
    assert not stores["iceberg"].exists(ref)
    iceberg.create()
    delta.append((1, "delta", 1))
    assert iceberg.rows() == []
    stores["delta"].drop(ref)
    assert stores["iceberg"].exists(ref)
    stores["iceberg"].drop(ref)
