"""Row counts against the report of earlier runs, in real tables of both formats, without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

from checks.gate import judge
from checks.model import CheckResult, Outcome
from flows.runtime import Runtime
from storage.lake_store import LakeStore
from storage.types import CommitRecord, TableRef
from tasks.context import Attempt, Context, RunInfo
from tasks.domain.spec import OnAnomaly, VolumeLimits
from tasks.gate.anomalies import DAYS, RUNS, SHARE, checks
from tasks.ops import report as ops
from tasks.ops.report import TableOutcome, report
from tasks.ops.tables import REPLACED, ROW_COUNTS, TABLES, ops_table

START = datetime(2024, 1, 1, 6, tzinfo=UTC)
SELLERS = TableRef("olist", "silver", "sellers")
REVENUE = TableRef("olist", "gold", "daily_revenue")
TRANSLATION = TableRef("olist", "bronze", "category_translation")
# Mean 1,000; moving ranges of 20: sigma is 17.73, the limits are 946.8 and 1,053.2.
STEADY = (990, 1010) * 5


@pytest.fixture
def context(request: pytest.FixtureRequest, make_config: Any, tmp_path: Path) -> Context:
    """A lake whose tables were published before; the run to judge is of day 100."""
    run = RunInfo("now", START + timedelta(days=100), "1.0")
    format_name = getattr(request, "param", "delta")
    context = Runtime(make_config(format_name, tmp_path), run).context(spark=False)
    for table in (SELLERS, REVENUE, TRANSLATION):
        context.store.append_arrow(table, pa.table({"id": ["a"]}), CommitRecord("first", "t"))
    return context


both_formats = pytest.mark.parametrize("context", ["delta", "iceberg"], indirect=True)


@dataclass(frozen=True)
class Past:
    """A reported run that started on this day."""

    day: float
    rows: dict[str, int]
    table: TableRef = SELLERS
    status: str = "published"
    domain: str = "olist"

    @property
    def run_id(self) -> str:
        return f"{self.domain}-{self.day}"

    @property
    def started(self) -> datetime:
        return START + timedelta(days=self.day)


def ran(context: Context, *runs: Past) -> None:
    """Put runs into the report as `ops.report` does, all in one commit."""
    common = [{"run_id": r.run_id, "domain": r.domain} for r in runs]
    reported = {
        "runs": [c | {"started_at": r.started} for c, r in zip(common, runs, strict=True)],
        "table_metrics": [
            c
            | {"table_name": r.table.label, "status": r.status}
            | {f"rows_{name}": n for name, n in r.rows.items() if name in ROW_COUNTS}
            | {"recorded_at": r.started + timedelta(hours=20)}
            for c, r in zip(common, runs, strict=True)
        ],
    }
    for name, rows in reported.items():
        table = pa.Table.from_pylist(rows, schema=TABLES[name])
        context.store.append_arrow(ops_table(name), table, CommitRecord("x", str(runs)))


def counts(published: int, ingested: int | None = None, **more: int) -> dict[str, int]:
    """Row accounting of a table fed row by row; 2 of 100 rows are not published if nothing is said."""
    return {"ingested": ingested or round(published / 0.98), "published": published, **more}


def loaded(published: Sequence[int], **more: Any) -> list[Past]:
    """A first load of a million rows, then a run a day."""
    return [Past(day, counts(n), **more) for day, n in enumerate((1_000_000, *published))]


def attempt(rows: dict[str, int], table: TableRef = SELLERS, **more: Any) -> Attempt:
    return Attempt(table=table, token="t", folder="/none", rows=rows, **more)


def found(context: Context, staged: Attempt) -> dict[str, CheckResult]:
    return {result.name: result for result in checks(context, staged)}


def outcomes(context: Context, staged: Attempt) -> dict[str, str]:
    return {name: result.outcome.value for name, result in found(context, staged).items()}


def test_an_ordinary_run_passes(context: Context) -> None:
    ran(context, *loaded(STEADY))
    results = found(context, attempt(counts(1005)))
    assert {name: r.outcome for name, r in results.items()} == {
        RUNS: Outcome.PASS,
        SHARE: Outcome.PASS,
    }
    assert results[RUNS].message == (
        "1,005 rows published, expected 946.8 to 1,053.2 (mean 1,000 of the last 10 runs)"
    )
    assert (results[RUNS].value, results[RUNS].threshold) == (1005.0, "946.8 to 1,053.2")


@both_formats
def test_half_of_the_rows_warns_or_fails_as_configured(context: Context) -> None:
    ran(context, *loaded(STEADY))
    staged = attempt(counts(504))
    warned = checks(context, staged)
    assert [r.outcome for r in warned] == [Outcome.WARN, Outcome.PASS]
    assert warned[0].message == (
        "504 rows published, expected 946.8 to 1,053.2 (mean 1,000 of the last 10 runs): "
        "below the lower control limit"
    )
    assert not judge(warned, threshold=None).blocked

    context.domain.anomalies = VolumeLimits(OnAnomaly.fail)
    failed = checks(context, staged)
    assert [r.outcome for r in failed] == [Outcome.FAIL, Outcome.PASS]
    assert judge(failed, threshold=None).reasons == (f"{RUNS}: {warned[0].message}",)

    context.domain.silver["sellers"].anomalies = VolumeLimits(OnAnomaly.ignore)
    assert checks(context, staged) == []


def test_rows_lost_between_two_layers_are_a_signal_of_the_share(context: Context) -> None:
    ran(context, *loaded(STEADY))
    results = found(context, attempt(counts(1000, 1200)))
    assert [r.outcome for r in results.values()] == [Outcome.PASS, Outcome.WARN]
    assert results[SHARE].message.startswith("83.33% of 1,200 rows published, expected 97.")
    assert results[SHARE].message.endswith("below the lower control limit")


def test_rejected_and_released_rows_do_not_move_the_share(context: Context) -> None:
    ran(context, *loaded(STEADY))
    staged = attempt(counts(1000, 1510, rejected=500, released=10))
    assert outcomes(context, staged) == {RUNS: "pass", SHARE: "pass"}


def test_where_nothing_is_reported_the_checks_pass_and_say_so(context: Context) -> None:
    results = found(context, attempt(counts(1)))
    assert {r.outcome for r in results.values()} == {Outcome.PASS}
    assert results[RUNS].message == "not judged: 0 of the 8 earlier points that limits need"


def test_too_short_a_history_passes(context: Context) -> None:
    ran(context, *loaded(STEADY[:7]))
    results = found(context, attempt(counts(1)))
    assert {r.outcome for r in results.values()} == {Outcome.PASS}
    assert results[RUNS].message == "not judged: 7 of the 8 earlier points that limits need"
    context.domain.anomalies = VolumeLimits(minimum=7)
    assert found(context, attempt(counts(1)))[RUNS].outcome is Outcome.WARN


@pytest.mark.parametrize("rebuild", [True, False], ids=["rebuild", "first load"])
def test_a_table_that_is_written_whole_is_not_judged(context: Context, rebuild: bool) -> None:
    table = SELLERS if rebuild else TableRef("olist", "silver", "products")
    ran(context, *loaded(STEADY, table=table))
    cast("LakeStore", context.store).adapter("delta")._create_arrow(
        table, pa.schema([("id", pa.string())])
    )
    results = found(context, attempt(counts(10**6), table, replace=rebuild))
    assert {r.outcome for r in results.values()} == {Outcome.PASS}
    assert results[RUNS].message == "not judged: the table is written whole"


@both_formats
def test_what_is_no_ordinary_run_is_not_in_the_limits(context: Context) -> None:
    ran(
        context,
        *loaded(STEADY),
        Past(20, counts(1), status="blocked"),
        Past(21, counts(0, 5), status="unchanged"),
        Past(22, counts(50_000), status=REPLACED),
        Past(23, counts(7), domain="other"),
        Past(24, counts(8), table=TRANSLATION),
        Past(25, {"ingested": 0, "published": 0, "refreshed": 40}),
        Past(26, counts(0, 30, rejected=30)),
    )
    (result, _) = checks(context, attempt(counts(1000)))
    assert result.message.endswith("expected 946.8 to 1,053.2 (mean 1,000 of the last 10 runs)")


def test_the_current_run_is_not_in_its_own_limits(context: Context) -> None:
    outcome = TableOutcome(SELLERS, "published", counts(504))
    ran(context, *loaded(STEADY))
    report(context.store, "olist", context.run, [outcome], status="done", score=1.0, message="")
    assert "of the last 10 runs" in found(context, attempt(counts(504)))[RUNS].message


def test_the_limits_follow_the_newest_runs(context: Context) -> None:
    context.domain.anomalies = VolumeLimits(history=8)
    ran(context, *loaded([10, 20, *STEADY[:8]]))
    message = found(context, attempt(counts(1000)))[RUNS].message
    assert message.endswith("(mean 1,000 of the last 8 runs)")


def test_an_attempt_without_delivered_rows_is_not_judged(context: Context) -> None:
    ran(context, *loaded(STEADY))
    for rows in ({"ingested": 0, "published": 0, "refreshed": 9}, counts(0, 30, rejected=30)):
        result = found(context, attempt(rows))[RUNS]
        assert result.outcome is Outcome.PASS
        assert result.message == "not judged: no delivered row was taken in"


def test_bronze_and_gold_are_judged_by_what_they_publish(context: Context) -> None:
    sold = [Past(day + 0.25, {"published": n}, REVENUE) for day, n in enumerate((70_000, *STEADY))]
    ran(context, *loaded(STEADY, table=TRANSLATION), *sold)
    assert outcomes(context, attempt(counts(5, 5), TRANSLATION)) == {RUNS: "warn"}
    for published, outcome in ((1002, "pass"), (0, "warn")):
        staged = attempt({"computed": 70_000, "published": published}, REVENUE)
        assert outcomes(context, staged) == {RUNS: outcome}


@both_formats
def test_runs_of_a_day_are_judged_together_too(context: Context) -> None:
    """As many runs of the day as there were are compared with as many of each earlier day."""
    halves = [
        Past(day + part, counts(rows // 2))
        for day, rows in enumerate(STEADY, start=1)
        for part in (0, 0.1)
    ]
    ran(context, Past(0, counts(1_000_000)), *halves)
    first = found(context, attempt(counts(500)))
    assert first[DAYS].outcome is Outcome.PASS
    assert first[DAYS].message == (
        "500 rows published up to run 1 of the day, expected 473.4 to 526.6 "
        "(mean 500 of the last 10 days)"
    )
    ran(context, Past(100.1, counts(520)))
    second = found(context, attempt(counts(520)))
    assert second[DAYS].outcome is Outcome.PASS
    assert second[DAYS].message == (
        "1,040 rows published up to run 2 of the day, expected 946.8 to 1,053.2 "
        "(mean 1,000 of the last 10 days)"
    )
    ran(context, Past(100.2, counts(520)))
    third = found(context, attempt(counts(300)))
    assert third[DAYS].outcome is Outcome.WARN
    assert third[DAYS].message.startswith("1,340 rows published up to run 3 of the day")
    assert third[DAYS].message.endswith("above the upper control limit")


def test_a_run_that_ends_after_midnight_is_of_the_day_of_its_start(context: Context) -> None:
    """All were recorded 20 hours after their start, on the next day."""
    ran(context, *loaded(STEADY), Past(99, counts(1000)))
    assert DAYS not in outcomes(context, attempt(counts(1000)))


@both_formats
def test_the_report_of_real_runs_is_what_is_judged(context: Context) -> None:
    """A first load, nine runs and a rebuild through `ops.report`, each one a commit."""
    now = context.run
    for number, rows in enumerate((10**6, *STEADY[:9], 10**6)):
        rebuild = number == 10
        run = RunInfo(f"r{number}", START + timedelta(days=number), "1.0", rebuild=rebuild)
        outcome = TableOutcome(SELLERS, "published", counts(rows), replaced=rebuild)
        report(context.store, "olist", run, [outcome], status="done", score=1.0, message="")
    context.run = now
    assert outcomes(context, attempt(counts(1000))) == {RUNS: "pass", SHARE: "pass"}
    context.run = replace(now, run_id="later")
    result = found(context, attempt(counts(500)))[RUNS]
    assert result.outcome is Outcome.WARN
    assert "of the last 9 runs" in result.message


@both_formats
def test_a_report_made_from_commits_tells_rebuilds_apart(context: Context) -> None:
    record = replace(context.record(attempt({"published": 3}, replace=True)), token="t2")
    context.store.append_arrow(SELLERS, pa.table({"id": ["b"]}), record)
    ops.rebuild(context.store, "olist", [SELLERS])
    rows = context.store.read_arrow(ops_table("table_metrics")).to_pylist()
    assert sorted((r["run_id"], r["status"]) for r in rows) == [
        ("first", "published"),
        ("now", "replaced"),
    ]
