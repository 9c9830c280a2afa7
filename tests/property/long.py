"""As many random deliveries as wanted, with a tally: `python -m tests.property.long --tally FILE`.

Each seed is an event log delivered in batches to a fresh lake of each format; the lake is compared with the
model, and gold with its query over all of silver, after every batch. The summary says how many groups the
batches touched, of how many there were. An interrupted command goes on with the seed that was under way.
The machine's time zone (`TZ`) is part of what the tally knows of a seed: it may change nothing.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from pyspark.sql import SparkSession

from storage.base import TableStore
from storage.formats import formats_for
from tasks.context import Attempt
from tasks.domain.spec import EVENTS, DomainSpec
from tests.property.delivery import plan_delivery
from tests.property.domain import load_domain
from tests.property.driver import rows_of
from tests.property.engine import assert_nothing_left, run_delivery
from tests.property.events import make_log
from tests.sessions import lake_at, small_session
from tests.tally import Tally


def run_seed(spark: SparkSession, tally: Tally, what: Mapping[str, Any]) -> None:
    """One delivery of so many events, keys and batches; what is wrong is noted and ends it."""
    name, seed, (events, keys, batches) = what["format"], what["seed"], what["size"]
    random = Random(seed)
    plan = plan_delivery(random, make_log(random, events, keys), batches)
    with tempfile.TemporaryDirectory(prefix=f"property-{name}-{seed}-") as folder:
        lake, landing, domain = lake_at(Path(folder) / "lake", name), Path(folder), load_domain()
        landing = Path(folder) / "landing"
        began = time.monotonic()
        try:
            for number, staged in enumerate(run_delivery(spark, lake, domain, landing, plan)):
                seconds = round(time.monotonic() - began, 1)
                found = groups(lake.store(None), domain, staged)
                tally.add("batch", **what, batch=number, seconds=seconds, groups=found)
                _tell(f"{name} seed {seed} batch {number}: same, {seconds} s")
                began = time.monotonic()
            assert_nothing_left(spark, lake, domain, landing, plan)
        except Exception as error:  # noqa: BLE001 - the next seed may tell more
            tally.add("seed", **what, wrong=f"{type(error).__name__}: {error}")
        else:
            tally.add("seed", **what, wrong="")
    _tell(f"{name} seed {seed}: {tally.entries[-1]['wrong'] or 'same'}")


def groups(
    store: TableStore, domain: DomainSpec, staged: dict[str, Attempt | None]
) -> dict[str, tuple[int, int, int]]:
    """Of each derived table: groups that were computed, groups there are, and rows computed."""
    found = {}
    for ref in domain.tables():
        spec = (domain.gold if ref.layer == "gold" else domain.silver).get(ref.name)
        if spec is None or not spec.groups:
            continue
        fed_by_row = ref.layer == "silver" and f"{ref.name}{EVENTS}" in domain.silver
        keyed = domain.ref(f"{ref.label}{EVENTS}") if fed_by_row else ref
        total = len({tuple(row[c] for c in spec.key) for row in rows_of(store, keyed)})
        attempt = staged[ref.label]
        rows = attempt.rows if attempt else {"groups": 0, "computed": 0}
        found[ref.label] = (rows.get("groups", total), total, rows["computed"])
    return found


def summary(tally: Tally) -> str:
    """Batches and seeds by outcome, and the share of groups that batches after the first computed."""
    seeds, batches = tally.of("seed"), tally.of("batch")
    lines = []
    for name in formats_for():
        mine = [seed for seed in seeds if seed["format"] == name]
        bad = [seed for seed in mine if seed["wrong"]]
        there = sum(batch["format"] == name for batch in batches)
        zones = ", ".join(dict.fromkeys(seed.get("zone", "machine") for seed in mine))
        lines.append(
            f"{name}: {there} batches compared, {len(mine)} seeds ended ({zones}), {len(bad)} wrong"
        )
        lines += [f"  wrong: {seed}" for seed in bad]
    later = [batch["groups"] for batch in batches if batch["batch"]]
    lines.append(f"groups computed in the {len(later)} batches after a first one")
    for label in dict.fromkeys(label for found in later for label in found):
        computed, total, _ = (sum(found[label][i] for found in later) for i in range(3))
        fewer = sum(found[label][0] < found[label][1] for found in later)
        lines.append(f"  {label}: {computed} of {total}; not all in {fewer} batches")
    return "\n".join(lines)


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="How many, of each format.")
    parser.add_argument("--start", type=int, default=1, help="The first seed.")
    parser.add_argument(
        "--tally", type=Path, required=True, help="File that the call goes on from."
    )
    parser.add_argument("--format", choices=[*formats_for(), "both"], default="both")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="Of this call.")
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--keys", type=int, default=40)
    parser.add_argument("--batches", type=int, default=10)
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tally, deadline = Tally(given.tally), time.monotonic() + given.seconds
    formats = formats_for() if given.format == "both" else (given.format,)
    size = [given.events, given.keys, given.batches]
    zone = os.environ.get("TZ", "machine")  # the session that is started next sets it to UTC
    with tempfile.TemporaryDirectory(prefix="property-spark-") as folder:
        spark = small_session(Path(folder))
        try:
            for seed, name in itertools.product(
                range(given.start, given.start + given.seeds), formats
            ):
                what = {"format": name, "seed": seed, "size": size, "zone": zone}
                if not tally.of("seed", **what) and time.monotonic() < deadline:
                    run_seed(spark, tally, what)
        except KeyboardInterrupt:
            _tell("stopped; the same command goes on")
            return 130
        finally:
            _tell(summary(tally))
            spark.stop()
    return 1 if any(seed["wrong"] for seed in tally.of("seed")) else 0


if __name__ == "__main__":
    sys.exit(main())
