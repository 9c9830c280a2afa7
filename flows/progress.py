"""What a run tells a person while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from storage.types import TableRef
from tasks.ops.report import TableOutcome


class Progress(Protocol):
    """Receives the events of a run; called from several threads."""

    def started(self, tables: list[TableRef]) -> None:
        """The run is about to work on these tables."""

    def step(self, table: TableRef, name: str) -> None:
        """A table enters a step: stage, check or publish."""

    def rows(self, table: TableRef, rows: Mapping[str, int]) -> None:
        """A table's rows were staged."""

    def done(self, outcome: TableOutcome) -> None:
        """A table is done."""


class Silent(AbstractContextManager["Silent"]):
    """Tells nothing."""

    def __exit__(self, *exc: object) -> None: ...

    def started(self, tables: list[TableRef]) -> None: ...

    def step(self, table: TableRef, name: str) -> None: ...

    def rows(self, table: TableRef, rows: Mapping[str, int]) -> None: ...

    def done(self, outcome: TableOutcome) -> None: ...
