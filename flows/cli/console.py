"""What a run looks like on a terminal: live progress a table, then one summary."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from conf.formats import described
from conf.schema import Config
from flows.cli.rows import console
from flows.report.summary import Summary
from storage.types import LAYERS, TableRef
from tasks.domain.spec import DESTINATION
from tasks.ops.report import TableOutcome, passed
from tasks.ops.tables import WRITTEN
from tasks.records.backfill_ledger import Backfill, Ledger
from tasks.records.releases import name_of

STYLE = {"published": "green", "pushed": "green", "unchanged": "dim", "blocked": "bold red",
         "failed": "bold red", "skipped": "yellow"}  # fmt: skip
MARK = {"published": "✓", "pushed": "✓", "unchanged": "·", "blocked": "✗", "failed": "✗",
        "skipped": "-"}  # fmt: skip


class LiveProgress:
    """Shows the steps of each table while they run; on a pipe, one line a finished table."""

    def __init__(self, config: Config) -> None:
        self._console = Console()
        self._title = f"{config.domain.name} on {described(config.format)}"
        self._lock = threading.Lock()
        self._now: dict[TableRef, tuple[str, float]] = {}
        self._rows: dict[TableRef, int] = {}
        self._done: dict[TableRef, TableOutcome] = {}
        self._tables: list[TableRef] = []
        self._began = time.monotonic()
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(f"{self._title}: starting")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def started(self, tables: list[TableRef]) -> None:
        with self._lock:
            self._tables = tables

    def step(self, table: TableRef, name: str) -> None:
        with self._lock:
            self._now[table] = (name, time.monotonic())

    def rows(self, table: TableRef, rows: Mapping[str, int]) -> None:
        with self._lock:
            self._rows[table] = rows.get("published", 0)

    def done(self, outcome: TableOutcome) -> None:
        with self._lock:
            self._now.pop(outcome.table, None)
            self._done[outcome.table] = outcome
        if not self._console.is_terminal:
            written = outcome.written(" rows") if outcome.status in WRITTEN else ""
            self._console.print(
                f"  {outcome.label:<32} {outcome.status:<10} {written:>20} "
                f"{outcome.seconds:6.1f} s",
                highlight=False,
            )

    def _render(self) -> Group:
        with self._lock:
            now, done = dict(self._now), dict(self._done)
        elapsed = time.monotonic() - self._began
        total = len(self._tables) or "?"
        lines = [Text(f"{self._title}: {len(done)} of {total} tables, {elapsed:.0f} s", "bold")]
        finished = Counter(ref.layer for ref in done)
        for layer, of in Counter(ref.layer for ref in self._tables).items():
            style = "green" if finished[layer] == of else ""
            lines.append(Text(f"  {layer:<11} {finished[layer]:>2}/{of}", style))
        for ref, (step, since) in now.items():
            rows = f"{self._rows[ref]:,} rows" if ref in self._rows else ""
            lines.append(
                Text(
                    f"    {ref.label:<32} {step:<8} {time.monotonic() - since:5.1f} s  {rows}",
                    "cyan",
                )
            )
        return Group(*lines)


def print_summary(summary: Summary, where: str) -> None:
    """One table a layer, the total, and what to look at next."""
    out = console()
    for layer, outcomes in _by_layer(summary).items():
        if any(o.status != "unchanged" for o in outcomes):
            out.print(_layer_table(layer, outcomes))
    style = {"done": "bold green"}.get(summary.status, "bold red")
    out.print(Text(f"{summary.status}: ", style).append(summary.message, "default"), soft_wrap=True)
    out.print(
        f"run {summary.run_id}, {summary.seconds:.1f} s, quality score {summary.score:.3f}",
        style="dim", highlight=False,
    )  # fmt: skip
    _print_next(out, summary, where)


def _by_layer(summary: Summary) -> dict[str, list[TableOutcome]]:
    found: dict[str, list[TableOutcome]] = {layer: [] for layer in (*LAYERS, DESTINATION)}
    for outcome in summary.outcomes:
        found[outcome.table.layer].append(outcome)
    return found


def _layer_table(layer: str, outcomes: list[TableOutcome]) -> Table:
    table = Table(title=layer, title_justify="left", title_style="bold", header_style="dim")
    table.add_column("table", no_wrap=True)
    for name in ("rows in", "published", "quarantined", "checks", "seconds"):
        table.add_column(name, justify="right")
    for outcome in outcomes:
        rows = outcome.rows
        good, total = passed(outcome.gate) if outcome.gate else (0, 0)
        status = outcome.status
        table.add_row(
            Text(f"{MARK[status]} {outcome.table.name}", STYLE[status]),
            f"{rows.get('ingested', rows.get('computed', 0)):,}" if rows else "",
            Text(outcome.written(), STYLE[status]),
            f"{rows['quarantined']:,}" if rows.get("quarantined") else "",
            f"{good}/{total}" if total else "",
            f"{outcome.seconds:.1f}" if outcome.seconds else "",
        )
    return table


def _print_next(out: Console, summary: Summary, where: str) -> None:
    lines = [o.advice for o in summary.outcomes if o.advice]
    lines += [
        f"{o.table.label}: {o.message}"
        for o in summary.outcomes
        if o.status == "unchanged" and o.message
    ]
    if summary.status == "done":
        results = _by_layer(summary)["gold"]
        if results:
            lines.append(f"look at a result:  lakehouse show {results[0].table.label} {where}")
        if any(o.rows.get("quarantined") for o in summary.outcomes):
            held = next(o.table for o in summary.outcomes if o.rows.get("quarantined"))
            lines.append(f"rows kept out:     lakehouse quarantine show {name_of(held)} {where}")
        lines.append(f"all tables:        lakehouse tables {where}")
    elif summary.status == "failed":
        lines.append(f"when it is fixed, run again:  lakehouse run {where}")
    out.print("\n".join(lines), highlight=False, soft_wrap=True, markup=False)


SYMBOL = {"done": ("✓", "green"), "running": ("▶", "cyan"), "failed": ("✗", "bold red"),
          "blocked": ("■", "bold red"), "missing": ("·", "dim")}  # fmt: skip


def print_grid(backfill: Backfill, ledger: Ledger) -> None:
    """One row a partition, one column a table, and why partitions stopped."""
    out = console()
    table = Table(title=f"backfill {backfill.id}", title_justify="left", header_style="dim")
    table.add_column("partition", no_wrap=True)
    for ref in backfill.tables:
        table.add_column(ref.label)
    for partition in backfill.partitions:
        cells = []
        for ref in backfill.tables:
            state = ledger[ref, partition].state.value
            symbol, style = SYMBOL[state]
            cells.append(Text(f"{symbol} {state}", style))
        table.add_row(partition.label, *cells)
    out.print(table)
    for (ref, partition), entry in ledger.items():
        if entry.message:
            out.print(f"{ref.label} {partition.label}: {entry.message}", highlight=False,
                          soft_wrap=True, markup=False)  # fmt: skip


def print_backfills(rows: Sequence[Mapping[str, Any]]) -> None:
    """The backfills of a domain, one row each."""
    out = console()
    if not rows:
        out.print("no backfill was begun")
        return
    table = Table(title="backfills", title_justify="left", header_style="dim")
    for name in ("backfill", "tables", *SYMBOL, "last"):
        table.add_column(name, justify="right" if name in SYMBOL else "left")
    for row in rows:
        counts = [str(row[state] or "") for state in SYMBOL if state != "missing"]
        counts.append(str(row["missing"] or ""))
        table.add_row(row["backfill"], ", ".join(row["tables"]), *counts,
                      row["last"].isoformat(sep=" ", timespec="seconds"))  # fmt: skip
    out.print(table)
