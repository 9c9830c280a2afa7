"""Volume anomalies: the row counts of an attempt against control limits of the table's earlier runs.

The history is the report in `ops`. A check may look at it, but no run starts from it: where it is absent or
too short the checks pass and say so.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc

from checks.model import CheckResult, Outcome, Severity
from storage.types import TableRef
from tasks.context import Attempt, Context
from tasks.domain.spec import OnAnomaly, VolumeLimits
from tasks.gate.control_chart import Judgement, expected, judge
from tasks.ops.tables import REPLACED, ROW_COUNTS, ops_table

RUNS = "rows published within control limits"
DAYS = "rows published per day within control limits"
SHARE = "share of rows published within control limits"
COLUMNS = ("run_id", "domain", "table_name", "status", "recorded_at",
           *(f"rows_{name}" for name in ROW_COUNTS))  # fmt: skip


@dataclass(frozen=True)
class Volume:
    """Rows of one run of a table.

    Attributes:
        day: Day of the run's start, UTC.
        published: Rows inserted or changed.
        offered: Rows that could be published: those delivered and those released from quarantine, but none
            of rejected batches; None for the result of a query, which takes no rows in.
    """

    day: date
    published: int
    offered: int | None

    @classmethod
    def of(cls, day: date, rows: Mapping[str, int | None]) -> Volume | None:
        """The volume of a run's row accounting; None where it took in no delivered row."""
        ingested, published = rows.get("ingested"), rows.get("published") or 0
        if ingested is None:
            return cls(day, published, None)
        taken = ingested - (rows.get("rejected") or 0)
        return cls(day, published, taken + (rows.get("released") or 0)) if taken > 0 else None

    @property
    def share(self) -> float:
        """Published of the rows that could be."""
        return self.published / self.offered if self.offered else 0.0


def checks(context: Context, attempt: Attempt) -> list[CheckResult]:
    """Judge the attempt's rows run over run, day over day and, where fed row by row, layer to layer."""
    limits = context.domain.volume_limits(attempt.table)
    if limits.mode is OnAnomaly.ignore:
        return []
    row_fed = attempt.table in context.domain.merged() and "ingested" in attempt.rows
    names = [RUNS, SHARE] if row_fed else [RUNS]
    if attempt.is_part:
        return [_passed(name, "not judged: a part of the table is restated") for name in names]
    if attempt.replace or context.store.head(attempt.table).record is None:
        return [_passed(name, "not judged: the table is written whole") for name in names]
    volume = Volume.of(context.run.started_at.date(), attempt.rows)
    if volume is None:
        return [_passed(name, "not judged: no delivered row was taken in") for name in names]
    past = history(context, attempt.table)
    judged = [_runs(limits, past, volume), *_days(limits, past, volume)]
    return [*judged, _share(limits, past, volume)] if row_fed else judged


def history(context: Context, table: TableRef) -> list[Volume]:
    """Volumes of the table's earlier published runs, oldest first, without the first.

    A first load is not an ordinary run, and neither is a rebuild, which `ops` reports as replaced.
    """
    rows = _reported(context)
    if rows is None:
        return []
    mine = rows.filter(
        (pc.field("domain") == context.domain.name)
        & (pc.field("table_name") == table.label)
        & (pc.field("run_id") != context.run.run_id)
        & pc.field("status").isin(["published", REPLACED])
    ).sort_by("recorded_at")
    found = [
        Volume.of(row["day"], {name: row[f"rows_{name}"] for name in ROW_COUNTS})
        for row in mine.to_pylist()[1:]
        if row["status"] == "published"
    ]
    return [volume for volume in found if volume is not None]


_READING = threading.Lock()
_READ: dict[tuple[str, ...], pa.Table] = {}
"""The report as the current run found it: its many small files are read once a run, not once a table."""


def _reported(context: Context) -> pa.Table | None:
    """`ops.table_metrics` with the day of each run's start; None where there is no report."""
    store, metrics, runs = context.store, ops_table("table_metrics"), ops_table("runs")
    if not store.exists(metrics) or not store.exists(runs):
        return None
    version = str(store.history(metrics, limit=1)[0].version)
    key = (store.format_of(metrics), str(context.staging), context.run.run_id, version)
    with _READING:
        if key not in _READ:
            started = store.read_arrow(runs).select(["run_id", "started_at"])
            rows = store.read_arrow(metrics).select(COLUMNS)
            rows = rows.join(started, "run_id", join_type="left outer")
            instant = pc.coalesce(rows["started_at"], rows["recorded_at"])
            _READ.clear()
            _READ[key] = rows.append_column("day", pc.cast(instant, pa.date32()))
        return _READ[key]


def _runs(limits: VolumeLimits, past: Sequence[Volume], volume: Volume) -> CheckResult:
    points = [float(v.published) for v in past[-limits.history :]]
    found = judge(
        points, volume.published, subject="rows published", period="runs", minimum=limits.minimum
    )
    return _result(RUNS, limits, found, points)


def _days(limits: VolumeLimits, past: Sequence[Volume], volume: Volume) -> list[CheckResult]:
    """The day so far against as many runs of earlier days; nothing where each day has one run."""
    days = {day: list(runs) for day, runs in groupby(past, key=lambda v: v.day)}
    today = [*days.pop(volume.day, []), volume]
    if all(len(runs) == 1 for runs in (*days.values(), today)):
        return []
    sums = [sum(v.published for v in runs[: len(today)]) for runs in days.values()]
    points = [float(total) for total in sums[-limits.history :]]
    found = judge(
        points,
        sum(v.published for v in today),
        subject=f"rows published up to run {len(today)} of the day",
        period="days",
        minimum=limits.minimum,
    )
    return [_result(DAYS, limits, found, points)]


def _share(limits: VolumeLimits, past: Sequence[Volume], volume: Volume) -> CheckResult:
    points = [v.share for v in past if v.offered][-limits.history :]
    found = judge(
        points,
        volume.share,
        subject=f"of {volume.offered:,} rows published",
        period="runs",
        percent=True,
        minimum=limits.minimum,
    )
    return _result(SHARE, limits, found, points, percent=True)


def _result(
    name: str,
    limits: VolumeLimits,
    found: Judgement | None,
    points: Sequence[float],
    *,
    percent: bool = False,
) -> CheckResult:
    if found is None:
        text = f"not judged: {len(points)} of the {limits.minimum} earlier points that limits need"
        return _passed(name, text)
    outcome = Outcome(limits.mode.value) if found.broken else Outcome.PASS
    asked = expected(found.limits, percent=percent)
    return _check(name, outcome, found.sentence, value=found.value, threshold=asked)


def _passed(name: str, message: str) -> CheckResult:
    return _check(name, Outcome.PASS, message)


def _check(
    name: str,
    outcome: Outcome,
    message: str,
    *,
    value: float | None = None,
    threshold: str | None = None,
) -> CheckResult:
    return CheckResult(name, "staged", name, outcome, value, threshold, Severity.MEDIUM, message)
