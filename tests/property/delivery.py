"""How an event log reaches the landing folder: in batches of files, out of order, more than once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeAlias

from tests.property.events import COLUMNS, Record


@dataclass(frozen=True)
class File:
    """A file to deliver; its name decides its place within a batch."""

    name: str
    records: tuple[Record, ...]

    @property
    def content(self) -> bytes:
        """The bytes of the CSV file."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerows([COLUMNS, *self.records])
        return text.getvalue().encode()


Batch: TypeAlias = tuple[File, ...]
"""Files that are there when a run starts, besides those of earlier batches."""


@dataclass(frozen=True)
class Delivered:
    """A record as bronze has it: `number` counts the records of its file from 1."""

    file: str
    number: int
    record: Record


def plan_delivery(random: Random, log: Sequence[Record], batches: int) -> list[Batch]:
    """Deliver each record of a log at least once.

    The records are shuffled and cut into batches of one or two files. A part of them comes again in
    any batch. Later batches repeat whole earlier ones: in another order, which is other content, or
    byte for byte under another name.
    """
    parts: list[list[Record]] = [[] for _ in range(batches)]
    for record in random.sample(log, len(log)):
        times = random.choice((1, 1, 1, 1, 2, 3))
        for part in random.choices(parts, k=times):
            part.append(record)
    plan: list[Batch] = []
    for number, part in enumerate(parts):
        cut = random.randrange(len(part) + 1)
        files = [
            File(f"events_{number:02}_{piece}.csv", tuple(records))
            for piece, records in enumerate((part[:cut], part[cut:]))
            if records
        ]
        earlier = [file for batch in plan for file in batch]
        if earlier:
            again = random.choice(earlier)
            files.append(File(f"events_{number:02}_same.csv", again.records))
            again = random.choice(earlier)
            shuffled = tuple(random.sample(again.records, len(again.records)))
            files.append(File(f"events_{number:02}_replay.csv", shuffled))
        plan.append(tuple(files))
    return plan


def in_one_batch(log: Sequence[Record]) -> list[Batch]:
    """The whole log as it was written, in one file."""
    return [(File("events.csv", tuple(log)),)]


def write(batch: Batch, landing: Path) -> None:
    """Put the files of a batch into the landing folder."""
    landing.mkdir(parents=True, exist_ok=True)
    for file in batch:
        (landing / file.name).write_bytes(file.content)


def taken_in(plan: Sequence[Batch]) -> list[list[Delivered]]:
    """What each batch adds to bronze: known content counts once, whatever its name."""
    known: set[bytes] = set()
    return [list(_new(batch, known)) for batch in plan]


def _new(batch: Batch, known: set[bytes]) -> Iterator[Delivered]:
    for file in sorted(batch, key=lambda file: file.name):
        if file.content not in known:
            known.add(file.content)
            for number, record in enumerate(file.records, start=1):
                yield Delivered(file.name, number, record)
