"""What a kind of source says of itself: everything that anyone else asks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.domain.spec import SourceSpec
from tasks.ingest.sources.reader import Reader


@dataclass(frozen=True)
class Kind:
    """One kind of source.

    Attributes:
        name: As `kind` of a bronze table names it.
        reader: Makes the reader of a source.
        problems: What does not fit together in a declaration, each with its key.
        keys: Keys of a bronze table that have a meaning for some kinds only, this one among them.
    """

    name: str
    reader: Callable[[SourceSpec], Reader]
    problems: Callable[[SourceSpec], list[str]]
    keys: frozenset[str] = frozenset()
