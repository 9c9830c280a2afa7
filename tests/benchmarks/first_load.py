"""Time and memory of a first load, by Spark profile and format: `python -m tests.benchmarks.first_load`.

Each case is a process of its own on the same generated files, one after the other, so that its figures
are ratios within one run of this command. Seconds by layer are sums over tables that run side by side.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import psutil

from tasks.generate.olist.generator import generate

SAMPLE_SECONDS = 0.5
PROGRAM = [sys.executable, "-c", "from flows.cli import main; main()", "run", "--json"]


@dataclass
class Usage:
    """CPU seconds and peak resident bytes of a process and its children."""

    cpu: dict[int, float] = field(default_factory=dict)
    peak: int = 0

    def sample(self, parent: psutil.Process) -> None:
        """Look once."""
        resident = 0
        try:
            family = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in family:
            try:
                times = process.cpu_times()
                self.cpu[process.pid] = times.user + times.system
                resident += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.peak = max(self.peak, resident)


def run(overrides: list[str]) -> tuple[dict[str, Any], float, Usage]:
    """Run the pipeline once; its summary, seconds of the whole process, and usage."""
    began, usage = time.monotonic(), Usage()
    with tempfile.TemporaryFile("w+") as out:
        process = psutil.Popen([*PROGRAM, *overrides], stdout=out, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            usage.sample(process)
            time.sleep(SAMPLE_SECONDS)
        out.seek(0)
        return json.load(out), time.monotonic() - began, usage


def report(title: str, summary: dict[str, Any], seconds: float, usage: Usage) -> None:
    """Print one line, and one a layer."""
    print(  # noqa: T201
        f"{title:<24} {summary['status']:<8} process {seconds:6.1f} s   run {summary['seconds']:6.1f} s   "
        f"CPU {sum(usage.cpu.values()):6.1f} s   peak {usage.peak / 2**20:6,.0f} MiB"
    )
    layers: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for table in summary["tables"]:
        layer = layers[table["table"].split(".")[0]]
        layer[0] += table["seconds"]
        layer[1] += table["rows"].get("published", 0)
    for name, (busy, rows) in layers.items():
        print(f"  {name:<10} {busy:7.1f} s {rows:12,.0f} rows published")  # noqa: T201


def main() -> None:
    """Run every profile on every format, then the best case: nothing new."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--formats", nargs="+", default=["delta", "iceberg"])
    parser.add_argument("--profiles", nargs="+", default=["local", "small"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-load-") as folder:
        landing = Path(folder) / "landing"
        generate(landing, rows=options.rows, seed=7, defects=0.01)
        for format_name, profile in product(options.formats, options.profiles):
            overrides = [
                f"format={format_name}",
                f"spark={profile}",
                f"paths.landing={landing}",
                f"paths.lake={folder}/{format_name}-{profile}",
            ]
            report(f"{format_name}, {profile}", *run(overrides))
            report("  again, nothing new", *run(overrides))


if __name__ == "__main__":
    main()
