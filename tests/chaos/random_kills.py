"""SIGKILL at random points of random deliveries, with a tally: `python -m tests.chaos.random_kills`.

A history is a seed's event log, delivered in batches to a fresh lake of one format. Each batch is run by a
worker process, which is killed with its JVM at a random moment, restarted, perhaps killed again, and at
last left to finish. Then the whole lake must be that of the model. An interrupted command goes on from its
tally; a history that was under way starts again.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from storage.formats import formats_for
from tests.chaos.supervisor import Attempt, Worker
from tests.chaos.worker import domain_named
from tests.property.delivery import Batch, Delivered, plan_delivery, taken_in, write
from tests.property.engine import assert_committed_once, assert_tables
from tests.property.events import make_log
from tests.sessions import lake_at
from tests.tally import Entry, Tally

EVENTS, KEYS, BATCHES = 30, 8, 4
FIRST_KILL, ANOTHER_KILL, MOST_KILLS = 0.95, 0.75, 6
"""How likely the first kill of a batch is, and each further one; a batch's most."""
FIRST_GUESS = 20.0
"""Seconds of a run, until one has been seen."""
SAME, WRONG = "same", "wrong"


@dataclass
class Durations:
    """How long runs take, to kill them anywhere: a run in a fresh JVM takes longer than the next ones."""

    seen: dict[tuple[str, bool], deque[float]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=8))
    )

    def draw(self, random: Random, format_name: str, *, cold: bool) -> float:
        """A moment of a run, in seconds from its start."""
        return random.uniform(0.0, max(self.seen[format_name, cold], default=FIRST_GUESS))

    def note(self, entry: Entry) -> None:
        """Learn from a run that finished."""
        self.seen[entry["format"], entry["cold"]].append(entry["seconds"])


class History:
    """One delivery to a fresh lake, under kills."""

    def __init__(self, tally: Tally, durations: Durations, format_name: str, seed: int) -> None:
        self.number = len(tally.of("start"))
        self.tally, self.durations = tally, durations
        self.what = {"history": self.number, "format": format_name, "seed": seed}
        self.format, self.random = format_name, Random(f"{seed} {format_name} {self.number}")
        log = Random(seed)
        self.plan: list[Batch] = plan_delivery(log, make_log(log, EVENTS, KEYS), BATCHES)
        self.folder = Path(tempfile.mkdtemp(prefix=f"kills-{format_name}-{seed}-"))
        self.worker: Worker | None = None
        self.runs = itertools.count()

    def play(self, enough: Callable[[], bool]) -> None:
        """Run the batches until one is wrong, whose lake then stays, or there are enough kills."""
        self.tally.add("start", **self.what)
        delivered, message = taken_in(self.plan), ""
        try:
            for number, batch in enumerate(self.plan):
                write(batch, self.folder / "landing")
                last = self._finish(number)
                message = self._wrong(last, delivered[: number + 1])
                self._note(number, last, message)
                if message or enough():
                    break
            else:
                self.tally.add("end", **self.what)
        finally:
            if self.worker is not None:
                self.worker.kill()
            if not message:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _finish(self, batch: int) -> tuple[Attempt, bool]:
        """Run a batch until a run of it is not killed; that run, and whether its JVM was fresh."""
        for kills in itertools.count():
            cold = self.worker is None
            if self.worker is None:
                self.worker = Worker(self.format, self.folder)
                up = self.worker.await_ready()
                if up.end != "ready":
                    return replace(up, message=f"Spark did not come up: {self.worker.log}"), cold
            chance = ANOTHER_KILL if kills else FIRST_KILL
            delay = None
            if kills < MOST_KILLS and self.random.random() < chance:
                delay = self.durations.draw(self.random, self.format, cold=cold)
            attempt = self.worker.run(next(self.runs), kill_after=delay)
            if attempt.end != "killed":
                return attempt, cold
            self.worker = None
            what = {**self.what, "batch": batch, "delay": delay, "seconds": attempt.seconds}
            self.tally.add("kill", **what, running=attempt.running)
        raise AssertionError

    def _wrong(self, last: tuple[Attempt, bool], runs: Sequence[Sequence[Delivered]]) -> str:
        """What is wrong after a batch; empty where nothing is."""
        attempt, _ = last
        if attempt.end != "done":
            return f"run {attempt.end} in {', '.join(attempt.running)}: {attempt.message}"
        if len(runs) == len(self.plan) and self.worker is not None:
            worker, self.worker = self.worker, None
            if status := worker.stop():
                return f"the worker ended with status {status}"
        store = lake_at(self.folder / "lake", self.format).store(None)
        domain = domain_named("accounts")
        try:
            assert_tables(store, domain, runs)
            assert_committed_once(store, domain, runs)
        except Exception as error:  # noqa: BLE001 - a table that cannot be read is wrong too
            return f"{type(error).__name__}: {error}"
        return ""

    def _note(self, batch: int, last: tuple[Attempt, bool], message: str) -> None:
        attempt, cold = last
        kills = len(self.tally.of("kill", history=self.number, batch=batch))
        where = {"message": message, "lake": str(self.folder)} if message else {}
        self.tally.add(
            "batch", **self.what, batch=batch, status=WRONG if message else SAME,
            seconds=attempt.seconds, cold=cold, **where,
        )  # fmt: skip
        _tell(
            f"{self.format} seed {self.what['seed']} batch {batch}: {kills} kills. {message or SAME}"
        )
        if attempt.end == "done":
            self.durations.note(self.tally.entries[-1])


def settled(tally: Tally) -> list[Entry]:
    """The kills after which the batch came to an end, good or bad."""
    ended = {(entry["history"], entry["batch"]) for entry in tally.of("batch")}
    return [kill for kill in tally.of("kill") if (kill["history"], kill["batch"]) in ended]


def wrong(tally: Tally) -> list[Entry]:
    """The batches after which the lake was not that of the model."""
    return tally.of("batch", status=WRONG)


def kill_at_random(
    tally: Tally, *, kills: int, formats: Sequence[str], seconds: float, first_seed: int
) -> None:
    """Go on until there are so many kills, or the time is over; stops between two batches."""
    durations, deadline = Durations(), time.monotonic() + seconds
    for entry in tally.of("batch", status=SAME):
        durations.note(entry)

    def enough() -> bool:
        mine = [kill for kill in settled(tally) if kill["format"] in formats]
        return len(mine) >= kills or time.monotonic() > deadline

    for seed, name in ((seed, name) for seed in itertools.count(first_seed) for name in formats):
        if enough():
            return
        what = {"seed": seed, "format": name}
        if tally.of("end", **what) or tally.of("batch", **what, status=WRONG):
            continue
        History(tally, durations, name, seed).play(enough)


def summary(tally: Tally) -> str:
    """Kills, restarts and mismatches by format, and kills by what was under way."""
    kills, bad, batches = settled(tally), wrong(tally), tally.of("batch")
    lines = [f"{'':22}" + "".join(f"{name:>10}" for name in formats_for())]

    def row(title: str, entries: Sequence[Entry]) -> None:
        counted = Counter(entry["format"] for entry in entries)
        lines.append(f"{title:22}" + "".join(f"{counted[name]:>10}" for name in formats_for()))

    row("kills", kills)
    unfinished = {(e["history"], e["batch"]) for e in bad if e["message"].startswith("run ")}
    row("restarts finished", [k for k in kills if (k["history"], k["batch"]) not in unfinished])
    row("batches compared", batches)
    row("batches wrong", bad)
    lines.append("killed while")
    for step in sorted({step for kill in kills for step in _steps(kill)}):
        row(f"  {step}", [kill for kill in kills if step in _steps(kill)])
    lines += [f"wrong: {entry}" for entry in bad]
    return "\n".join(lines)


def _steps(kill: Entry) -> set[str]:
    """Layer and step of each table that was under way; tables are worked on side by side."""
    found = (running.rsplit(" ", 1) for running in kill["running"])
    return {f"{label.split('.')[0]} {step}" for label, step in found} or {"no table"}


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="How many, over all calls.")
    parser.add_argument(
        "--tally", type=Path, required=True, help="File that the call goes on from."
    )
    parser.add_argument("--format", choices=[*formats_for(), "both"], default="both")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="Of this call.")
    parser.add_argument("--seed", type=int, default=1, help="Of the first history.")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tally = Tally(given.tally)
    formats = formats_for() if given.format == "both" else (given.format,)
    try:
        kill_at_random(
            tally, kills=given.kills, formats=formats, seconds=given.seconds, first_seed=given.seed
        )
    except KeyboardInterrupt:
        _tell("stopped; the same command goes on")
        return 130
    finally:
        _tell(summary(tally))
    return 1 if wrong(tally) else 0


if __name__ == "__main__":
    sys.exit(main())
