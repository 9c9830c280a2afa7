"""A process that runs batches on demand and tells which step each table is in: there to be killed.

`python -m tests.chaos.worker FORMAT FOLDER DOMAIN`. It says `ready`, and for each line `run N` on its input
what it does: fields of a line are separated by tabs, `done` and `failed` come last.
"""

from __future__ import annotations

import sys
import threading
import traceback
from pathlib import Path

from pyspark.sql import SparkSession

from storage.registry import Lake
from storage.spark.session import jvm_pid
from tasks.context import Context
from tasks.domain.spec import DomainSpec
from tasks.records.contracts import refuse_outdated
from tasks.run_table import has_news
from tests.property.domain import load_domain
from tests.property.driver import contexts, run_batch
from tests.sessions import lake_at, small_session

WITHOUT = ("accounts_folded", "monthly_events", "account_notes", "plan_notes")
"""Tables left out to be faster; each has another of its kind."""
LOCK_SECONDS = 600.0
_SAYING = threading.Lock()


def domain_named(name: str) -> DomainSpec:
    """The tables that a worker runs."""
    return load_domain(name, WITHOUT)


def say(*fields: str) -> None:
    """Write one line to the parent, whole whichever thread says it."""
    with _SAYING:
        sys.stdout.write("\t".join(fields) + "\n")
        sys.stdout.flush()


def main(format_name: str, folder: Path, name: str) -> None:
    spark = small_session(folder / f"_spark_{name}")
    lake, domain = lake_at(folder / "lake", format_name), domain_named(name)
    say("ready")
    for line in sys.stdin:
        try:
            run(spark, lake, domain, folder / "landing", int(line.split()[1]))
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent judges
            traceback.print_exc()
            say("failed", f"{type(error).__name__}: {error}".splitlines()[0])
        else:
            say("done")
    spark.stop()


def run(spark: SparkSession, lake: Lake, domain: DomainSpec, landing: Path, number: int) -> None:
    """A run as the flow does it, without Prefect: under the run's lock, only where something is new."""
    make_context = contexts(spark, lake, domain, landing, number=number)
    locks = lake.locks(jvm_pid(spark))
    with locks.hold(f"run.{domain.name}", timeout_seconds=LOCK_SECONDS):
        say("locked")
        context = make_context()
        refuse_outdated(context, domain.tables())
        if news(context):
            run_batch(make_context, domain, lambda label, step: say("at", label, step))
        left = news(context)
        assert not left, f"not finished: {', '.join(left)}"


def news(context: Context) -> list[str]:
    """The tables that have something to take in."""
    return [ref.label for ref in context.domain.tables() if has_news(context, ref)]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
