"""What merging a few changed rows into a large silver table costs, through the real steps.

`python -m tests.benchmarks.merge --rows 1000000 --changed 1000 10000` prints, for each format, the seconds of
stage, check and publish and the bytes of the data files that the commit wrote.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from conf.load import load_config
from flows.runtime import spark_session
from storage.formats import formats_for
from storage.types import TableRef
from tasks.context import Context
from tests.property.domain import load_domain
from tests.property.driver import check_and_publish, contexts, stage
from tests.property.events import COLUMNS
from tests.sessions import lake_at

SEED = 7
MERGED = "accounts_soft"


@dataclass(frozen=True)
class Cost:
    """Of one merge, in seconds and bytes."""

    format: str
    changed: int
    stage: float
    check_publish: float
    written: int
    table: int


def records(ids: range | list[int], version: int, draw: random.Random) -> Iterator[list[str]]:
    """One event an account."""
    for number in ids:
        amount = f"{draw.randrange(10_000_000) / 100:.2f}"
        day = f"2024-{draw.randint(1, 12):02}-{draw.randint(1, 28):02} 12:00:00"
        plan = draw.choice(["free", "basic", "pro"])
        seats = str(draw.randint(1, 50))
        yield [f"a{number:08}", day, str(version), "u", plan, seats, amount, f"note {number}"]


def deliver(path: Path, rows: Iterator[list[str]]) -> None:
    """Write one file of the landing folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS])
        csv.writer(file).writerows(rows)


def measure(format_name: str, rows: int, changes: list[int], root: Path) -> list[Cost]:
    """Load `rows` accounts, then merge each number of changed ones."""
    domain = load_domain()
    domain.silver = {MERGED: domain.silver[MERGED]}
    domain.gold = {}
    lake = lake_at(root / "lake", format_name)
    draw, landing = random.Random(SEED), root / "landing"
    session = spark_session(load_config([f"paths.lake={root / 'lake'}", "spark=local"]))
    costs: list[Cost] = []
    deliver(landing / "events_0.csv", records(range(rows), 1, draw))
    for number, changed in enumerate([0, *changes]):
        if changed:
            ids = draw.sample(range(rows), changed)
            deliver(landing / f"events_{number}.csv", records(ids, number + 1, draw))
        make = contexts(session, lake, domain, landing, number=number)
        for ref in domain.tables():
            cost = _table(make(), ref, changed)
            costs += [cost] if changed and ref.layer == "silver" else []
    return costs


def _table(context: Context, ref: TableRef, changed: int) -> Cost:
    before = _files(context, ref)
    started = time.monotonic()
    attempt = stage(context, ref)
    between = time.monotonic()
    assert attempt is not None
    check_and_publish(context, attempt)
    ended = time.monotonic()
    after = _files(context, ref)
    written = sum(size for name, size in after.items() if name not in before)
    table = context.store.stats(ref).bytes
    return Cost(
        context.store.format_of(ref), changed, between - started, ended - between, written, table
    )


def _files(context: Context, ref: TableRef) -> dict[str, int]:
    """Data files of the table's folder with their sizes, of every version."""
    root = context.staging.parent / context.store.format_of(ref) / ref.path
    return {
        str(p): p.stat().st_size for p in root.rglob("*.parquet") if "_delta_log" not in p.parts
    }


def main() -> None:
    """Print a row for each format and number of changed rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--format", choices=formats_for())
    given = parser.parse_args()
    table = Table(
        "format", "changed rows", "stage s", "check and publish s", "MB written", "MB table"
    )
    # one folder for both: the process has one session, whose scratch files are in it
    with tempfile.TemporaryDirectory(prefix="merge-") as folder:
        for name in [given.format] if given.format else formats_for():
            for c in measure(name, given.rows, given.changed, Path(folder) / name):
                table.add_row(
                    c.format, f"{c.changed:,}", f"{c.stage:.1f}", f"{c.check_publish:.1f}",
                    f"{c.written / 1e6:.1f}", f"{c.table / 1e6:.1f}",
                )  # fmt: skip
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
