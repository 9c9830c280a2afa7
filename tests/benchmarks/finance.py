"""Card transactions at size: `python -m tests.benchmarks.finance --rows 10000000`.

For each format a first load from files, an increment in neighbouring accounts and one in scattered accounts,
each in a process of its own. After each, gold is compared with DuckDB, which computes the same from the files
in the same measurement.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from rich.console import Console

from conf.load import load_config
from flows.reading import Reader
from tasks.generate.finance import people
from tasks.generate.finance.blocks import instants, make, table
from tasks.generate.finance.generator import generate
from tests.benchmarks.first_load import Usage, run
from tests.oracle import finance as oracle
from tests.oracle.compare import assert_equal

OUT = Console(highlight=False, markup=False, soft_wrap=True)
SEED = 7
CHANGED_ROWS, CHANGED_ACCOUNTS = 10_000, 1_000
LAST_DAY = "2025-12-31"


def increment(path: Path, rows: int, form: str, number: int, *, scattered: bool) -> None:
    """Transactions of a few accounts on the last day: neighbours by number, or drawn from all."""
    count = max(20, rows // 200)
    drawn = np.random.default_rng([0, 0])
    holders = people.accounts(drawn, count)
    shops = people.merchants(drawn, max(20, rows // 2_000))
    rng = np.random.default_rng([SEED, 100 + number])
    touched = min(CHANGED_ACCOUNTS, count // 10)
    chosen = rng.permutation(count)[:touched] if scattered else np.arange(touched) + count // 3
    weights = np.zeros(count)
    weights[chosen] = holders.weights[chosen]
    holders = replace(holders, weights=weights)
    day = np.array([(np.datetime64(LAST_DAY) - np.datetime64("1970-01-01")).astype(int)])
    new = min(CHANGED_ROWS, rows // 10)
    block = make(rng, holders, shops, first=0, second=instants(rng, day, np.array([new])))
    made = table(block, holders, shops, seed=SEED + number)
    if form == "parquet":
        pq.write_table(made, path)
    else:
        pa_csv.write_csv(made, path, pa_csv.WriteOptions(quoting_style="needed"))


def in_duckdb(
    deliveries: Sequence[Sequence[Path]],
) -> tuple[dict[str, pa.Table], dict[str, float], int]:
    """Gold by name, seconds by layer, and the peak of resident memory that was added, from the files."""
    seconds: dict[str, float] = {}
    usage = Usage()
    with duckdb.connect(config={"threads": 2}) as connection:
        before = psutil.Process().memory_info().rss
        began = time.monotonic()
        oracle.load(connection, deliveries)
        usage.sample(psutil.Process())
        seconds["bronze"] = time.monotonic() - began
        for layer, steps in oracle.STEPS.items():
            began = time.monotonic()
            for step in steps:
                connection.execute(step)
                usage.sample(psutil.Process())
            seconds[layer] = time.monotonic() - began
        names = ("anomalies", "daily_summary", "merchant_summary")
        return (
            {n: connection.sql(f"from {n}").to_arrow_table() for n in names},
            seconds,
            usage.peak - before,
        )


def report(title: str, summary: dict[str, Any], seconds: float, usage: Usage, first: float) -> None:
    """Print a line, one a layer, and the rows that each query read."""
    if summary["status"] != "done":
        raise SystemExit(f"{title}: {summary['message']}")
    layers: dict[str, float] = defaultdict(float)
    for part in summary["tables"]:
        layers[part["table"].split(".")[0]] += part["seconds"]
    OUT.print(
        f"{title}: {summary['seconds']:.1f} s, {summary['seconds'] / first:.1%} of the first load; "
        f"process {seconds:.1f} s, CPU {sum(usage.cpu.values()):.1f} s, peak {usage.peak / 2**20:,.0f} MiB"
    )
    OUT.print("  " + ", ".join(f"{name} {busy:.1f} s" for name, busy in layers.items()))
    for part in summary["tables"]:
        rows, read = part["rows"], ""
        if "available" in rows:
            read = f", {rows['scanned']:,} of {rows['available']:,} input rows read"
        published = rows.get("published", 0)
        OUT.print(f"  {part['table']:<24} {part['seconds']:7.1f} s, {published:,} published{read}")


def compared(
    overrides: list[str], deliveries: Sequence[Sequence[Path]], truth: Path | None
) -> None:
    """Assert that gold equals DuckDB's, and print its seconds and which flags were planted."""
    expected, seconds, peak = in_duckdb(deliveries)
    config = load_config(overrides)
    reader = Reader(config, lambda text: None)
    for name, rows in expected.items():
        assert_equal(
            reader.table(config.domain.ref(f"gold.{name}")), rows, oracle.KEYS[name], name=name
        )
    parts = "   ".join(f"{name} {s:.1f} s" for name, s in seconds.items())
    OUT.print(
        f"  DuckDB, equal: {sum(seconds.values()):.1f} s   {parts}   peak {peak / 2**20:,.0f} MiB"
    )
    if truth is None:
        return
    planted = {(a["transaction_id"], a["rule"]) for a in json.loads(truth.read_text())["anomalies"]}
    flagged = set(
        zip(
            *(expected["anomalies"][c].to_pylist() for c in ("transaction_id", "rule")), strict=True
        )
    )
    OUT.print(
        f"  {len(planted & flagged):,} of {len(planted):,} planted satisfy their rule and are found; "
        f"{len(flagged - planted) / len(flagged):.1%} of {len(flagged):,} flags were not planted"
    )


def main() -> None:
    """Generate once, then every format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--form", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--formats", nargs="+", default=["delta", "iceberg"])
    parser.add_argument("--overrides", nargs="*", default=["spark=local"])
    parser.add_argument(
        "--folder", type=Path, help="Where to keep everything; a temporary one if not given."
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="finance-") as made:
        root = options.folder or Path(made)
        source = root / "source"
        began = time.monotonic()
        generated = generate(source, rows=options.rows, seed=SEED, defects=0.001, form=options.form)
        OUT.print(f"generated {options.rows:,} rows in {time.monotonic() - began:.0f} s")
        files = [source / file.name for file in generated.files]
        changes = []
        for number, kind in enumerate(("neighbouring", "scattered"), 1):
            path = source / f"later_{number}" / f"transactions_x_{kind}.{options.form}"
            path.parent.mkdir(exist_ok=True)
            increment(path, options.rows, options.form, number, scattered=kind == "scattered")
            changes.append((kind, path))
        for name in options.formats:
            landing = root / f"landing-{name}"
            landing.mkdir()
            overrides = [
                "domain=finance", f"format={name}", f"paths.landing={landing}",
                f"paths.lake={root / name}", *options.overrides,
            ]  # fmt: skip
            for path in files:
                (landing / path.name).symlink_to(path)
            summary, seconds, usage = run(overrides)
            first = summary["seconds"]
            report(f"{name}, first load", summary, seconds, usage, first)
            compared(overrides, [files], generated.truth)
            delivered = [files]
            for kind, path in changes:
                (landing / path.name).symlink_to(path)
                delivered.append([path])
                report(f"{name}, {kind} accounts", *run(overrides), first)
                compared(overrides, delivered, None)


if __name__ == "__main__":
    main()
