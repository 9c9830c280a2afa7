"""The gate of a table: what was staged is checked, and only that is published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pyarrow.dataset as ds
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from checks.gate import Verdict, judge
from checks.model import (
    CheckDefinitionError,
    CheckResult,
    CheckSource,
    CheckSuite,
    Outcome,
    Severity,
)
from storage.plans import MergePlan
from storage.types import TableRef
from tasks import (
    accounting,
    anomalies,
    bronze,
    derived,
    freshness,
    instants,
    keys,
    quarantine,
    restate,
    silver,
)
from tasks.as_of import as_of
from tasks.bench import Bench, Staged, live, views
from tasks.spec import EVENTS, QuarantineLimit, SilverSpec, VolumeSpec, dependencies
from tasks.sql_text import to_views

BLOCKING = (Outcome.FAIL, Outcome.NOT_EVALUATED)
QUARANTINE_LIMIT = "quarantined rows within limit"
WAITING_LIMIT = "rows waiting for a reference"


@dataclass(frozen=True)
class GateReport:
    """What the gate of one attempt decided and why.

    Attributes:
        waived: The checks that failed, but were let through by a recorded acceptance.
    """

    table: TableRef
    token: str
    verdict: Verdict
    results: tuple[CheckResult, ...]
    batches: tuple[str, ...]
    waived: tuple[str, ...] = ()


def is_derived(bench: Bench, ref: TableRef) -> bool:
    """Whether the table is the result of a query."""
    return ref.layer == "gold" or (
        ref.layer == "silver" and bench.domain.silver[ref.name].is_derived
    )


def planned(bench: Bench, staged: Staged) -> tuple[MergePlan, DataFrame]:
    """The merge plan of an attempt and the rows for it: what is checked is what is published."""
    if is_derived(bench, staged.table):
        return derived.plan(bench, staged.table), derived.staged_rows(bench, staged)
    if restate.applies(staged):
        return restate.plan_of(bench, staged), restate.staged_rows(bench, staged)
    return silver.plan(bench.domain.silver[staged.table.name]), silver.staged_rows(bench, staged)


def check(bench: Bench, staged: Staged) -> GateReport:
    """Evaluate every check of the table on the staged rows and on the table as it will be."""
    results = [
        *_engine_checks(bench, staged),
        *anomalies.checks(bench, staged),
        *freshness.checks(bench, staged),
        *instants.checks(staged),
        *_declared_checks(bench, staged),
    ]
    waivable = [r for r in results if r.outcome in BLOCKING and _is_waived(r, staged)]
    counted = [r for r in results if r not in waivable]
    verdict = judge(counted or results, threshold=bench.domain.score_threshold)
    if verdict.blocked and waivable and not counted:
        verdict = Verdict(False, verdict.score, ())
    waived = tuple(r.name for r in waivable)
    ids = _ids(staged, [r for r in counted if r.outcome in BLOCKING])
    return GateReport(staged.table, staged.token, verdict, tuple(results), ids, waived)


def _is_waived(result: CheckResult, staged: Staged) -> bool:
    """Whether a recorded acceptance lets this failure through.

    Where every batch of the attempt is accepted, everything is. Otherwise the rows of accepted batches
    are not among those that `staged` checks see, and only checks on the whole table are let through.
    """
    own = (instants.CHECK, keys.UNIQUE)
    if result.name in own or any(not problem.acceptable for problem in staged.problems):
        return False
    if not staged.batches:
        return bool(staged.notes.get("accepted"))
    if all(batch.accepted for batch in staged.batches):
        return True
    return result.dataset == "result" and any(batch.accepted for batch in staged.batches)


def _ids(staged: Staged, failed: Sequence[CheckResult]) -> tuple[str, ...]:
    """The batches to settle: those that are at fault where that is known, else all not accepted."""
    ids = [p.batch_id for p in staged.problems]
    limits = {QUARANTINE_LIMIT, WAITING_LIMIT}
    if not ids and failed and {r.name for r in failed} <= limits:
        ids = [b.batch_id for r in failed for b in staged.batches if b.batch_id in r.message]
    ids = ids or [b.batch_id for b in staged.batches if not b.accepted]
    ids = ids or [b.batch_id for b in staged.batches]
    if not ids and staged.notes.get("batch_id"):
        ids = [str(staged.notes["batch_id"])]
    return tuple(dict.fromkeys(ids))


def _declared_checks(bench: Bench, staged: Staged) -> Sequence[CheckResult]:
    ref = staged.table
    folder = Path(bench.domain.roots.checks)
    if ref.name.endswith(EVENTS) and not (folder / ref.layer / f"{ref.name}.yml").is_file():
        return []  # the history made of the events has the checks
    try:
        suite = CheckSuite.load(folder, ref.layer, ref.name)
    except CheckDefinitionError as error:
        return [_engine("checks are readable", Outcome.NOT_EVALUATED, str(error))]
    result = _register(bench, staged)
    result.createOrReplaceTempView("result")
    try:
        own = [keys.unique(bench, staged, result)] if is_derived(bench, ref) else []
        return [*own, *_scan(bench, staged, suite, result)]
    finally:
        result.unpersist()


def _scan(
    bench: Bench, staged: Staged, suite: CheckSuite, result: DataFrame
) -> Sequence[CheckResult]:
    ref = staged.table
    volume = bench.domain.gold[ref.name].volume if ref.layer == "gold" else None
    if volume is not None:
        tolerance = volume.tolerance
        expected, actual = _volumes(bench, volume, result)
        if staged.is_part:  # other parts may be as wrong as they were
            before = live(bench.domain, ref, bench.store.read(ref))
            tolerance = max(tolerance, abs(1 - _ratio(*_volumes(bench, volume, before))))
        suite = suite.extended(_volume_check(tolerance))
        _register_volume(bench, expected, actual)
    variables = {
        "as_of": as_of(bench, staged.table, result),
        "expected_rows": str(_expected_rows(staged)),
    }
    return bench.scanner.scan(bench.store.session, suite, variables)


def _expected_rows(staged: Staged) -> int:
    """Rows counted while staging; records that a reader left out are in no row of bronze."""
    counted = "published" if staged.table.layer == "bronze" else "ingested"
    return staged.rows.get(counted, staged.rows.get("computed", 0))


def _register(bench: Bench, staged: Staged) -> DataFrame:
    """Register `staged`, `result` and the inputs; the result follows the plan that will publish."""
    ref, store = staged.table, bench.store
    labels = dependencies(bench.domain)[ref.label]
    views(bench, {label: staged.inputs[label] for label in labels})
    if ref.layer == "bronze":
        rows = bronze.staged_rows(bench, staged)
        rows.createOrReplaceTempView("staged")
        return rows  # staged as they are, not worth a copy in memory
    plan, rows = planned(bench, staged)
    written = live(bench.domain, ref, plan.initial(rows))
    accepted = [b.batch_id for b in staged.batches if b.accepted]
    if accepted and len(accepted) < len(staged.batches):
        written.where(~F.col("_batch_id").isin(accepted)).createOrReplaceTempView("staged")
    else:
        written.createOrReplaceTempView("staged")
    first = staged.replace or store.head(ref).record is None
    return (
        written if first else live(bench.domain, ref, plan.preview(store.read(ref), rows))
    ).cache()


def _register_volume(bench: Bench, expected: float, actual: float) -> None:
    ratio = _ratio(expected, actual)
    bench.store.session.sql(
        f"select {expected}D input_rows, {actual}D output_rows, {ratio}D ratio"
    ).createOrReplaceTempView("volume")


def _volumes(bench: Bench, spec: VolumeSpec, rows: DataFrame) -> tuple[float, float]:
    """What the inputs say is to be expected, and what the rows give, in one query; nothing counts as 0."""
    expected = bench.store.session.sql(to_views(spec.input)).toDF("expected").limit(1)
    actual = rows.selectExpr(f"cast({spec.output}\n as double) actual")
    found = actual.join(expected, how="left").collect()[0]
    return float(found["expected"] or 0), float(found["actual"] or 0)


def _ratio(expected: float, actual: float) -> float:
    return actual / expected if expected else (1.0 if not actual else 2.0)


def _volume_check(tolerance: float) -> CheckSource:
    text = f"""
checks for volume:
  - avg(ratio) between {1 - tolerance} and {1 + tolerance}:
      name: rows of the inputs arrive (tolerance {tolerance:.2%})
      attributes: {{severity: high}}
"""
    return CheckSource("volume of the domain", text)


def _engine_checks(bench: Bench, staged: Staged) -> list[CheckResult]:
    ref = staged.table
    if ref.layer == "bronze":
        return [_files_readable(staged)]
    if is_derived(bench, ref):
        return []
    spec = bench.domain.silver[ref.name]
    found = [_conserved(staged), _conserved_in_total(bench, staged, spec)]
    found += [_keys_conserved(staged, spec)] if spec.reduce else []
    found += [_missing_keys(bench, staged, spec.missing_share)] if spec.delete_missing else []
    found += _limits(staged, spec.quarantine)
    return found


def _files_readable(staged: Staged) -> CheckResult:
    if not staged.problems:
        return _engine("delivered files are complete", Outcome.PASS, "every file was read")
    text = " | ".join(problem.message for problem in staged.problems)
    return _engine(
        "delivered files are complete", Outcome.FAIL, text, value=float(len(staged.problems))
    )


def _conserved(staged: Staged) -> CheckResult:
    """Rule 5: each row that bronze recorded is accounted for, batch by batch."""
    ingested, accounted = staged.rows["ingested"], accounting.accounted(staged.rows)
    lost = accounting.unbalanced(staged.notes.get(accounting.ACCOUNTS, {}))
    text = f"{accounted:,} of {ingested:,} ingested rows are accounted for"
    if lost:
        text += "; " + "; ".join(lost)
    outcome = Outcome.PASS if accounted == ingested and not lost else Outcome.FAIL
    return _engine(
        "rows are conserved", outcome, text, value=float(accounted), threshold=f"= {ingested}"
    )


def _conserved_in_total(bench: Bench, staged: Staged, spec: SilverSpec) -> CheckResult:
    """The same for all that was ever delivered, with the rows that are in quarantine."""
    held, source = quarantine.table(staged.table), bench.domain.ref(spec.source or "")
    balance = accounting.balance(bench.store, staged.table, held, source, bench.record(staged))
    missing = balance.missing()
    text = f"{balance.rows['ingested']:,} delivered rows, {balance.owed:,} of them in quarantine"
    return _engine(
        "rows are conserved in total",
        Outcome.FAIL if missing else Outcome.PASS,
        "; ".join(missing) if missing else text,
        value=float(balance.rows["ingested"]),
        threshold="" if balance.delivered is None else f"= {balance.delivered}",
    )


def _keys_conserved(staged: Staged, spec: SilverSpec) -> CheckResult:
    """Where several rows fold into one, each merge key among them gives exactly one row that has it."""
    keys_in, made = staged.rows["keys"], staged.rows["published"] + staged.rows["unchanged"]
    empty = reduce(ds.Expression.__or__, [ds.field(name).is_null() for name in spec.key])
    lost = staged.count("rows", empty)
    text = f"{made:,} rows were made of {keys_in:,} merge keys"
    return _engine(
        "merge keys are conserved",
        Outcome.PASS if made == keys_in and not lost else Outcome.FAIL,
        f"{text}, {lost:,} of them without their key" if lost else text,
        value=float(made),
        threshold=f"= {keys_in}",
    )


def _missing_keys(bench: Bench, staged: Staged, share: float) -> CheckResult:
    """A snapshot that lacks many keys is rather incomplete than right."""
    missing, rows = staged.rows["removed"], bench.store.stats(staged.table).rows
    return _engine(
        "keys missing from the snapshot within limit",
        Outcome.FAIL if missing > share * rows else Outcome.PASS,
        f"{missing:,} of {rows:,} rows are not in the newest snapshot",
        value=float(missing),
        threshold=f"<= {share:.0%} of the table's rows",
    )


def _limits(staged: Staged, limit: QuarantineLimit) -> list[CheckResult]:
    over = [
        f"{b.batch_id}: {b.quarantined:,} of {b.rows:,} rows"
        for b in staged.batches
        if not b.accepted and b.quarantined > limit.rows and b.quarantined > limit.share * b.rows
    ]
    bound = f"<= {limit.share:.1%} of a batch, or <= {limit.rows} rows"
    total = float(sum(b.quarantined for b in staged.batches))
    quarantined = _engine(
        QUARANTINE_LIMIT,
        Outcome.FAIL if over else Outcome.PASS,
        "over the limit: " + "; ".join(over) if over else "within the limit",
        value=total,
        threshold=bound,
    )
    held = [
        f"{b.batch_id}: {b.waiting:,} of {b.rows:,} rows"
        for b in staged.batches
        if not b.accepted and b.waiting > limit.rows and b.waiting > limit.waiting_share * b.rows
    ]
    waiting = float(sum(b.waiting for b in staged.batches))
    outcome = Outcome.FAIL if held else (Outcome.WARN if waiting else Outcome.PASS)
    text = "over the limit: " + "; ".join(held) if held else f"{waiting:,.0f} rows wait"
    return [
        quarantined,
        _engine(
            WAITING_LIMIT, outcome, text, value=waiting,
            threshold=f"<= {limit.waiting_share:.0%} of a batch", severity=Severity.LOW,
        ),
    ]  # fmt: skip


def _engine(
    name: str,
    outcome: Outcome,
    message: str,
    *,
    value: float | None = None,
    threshold: str | None = None,
    severity: Severity = Severity.HIGH,
) -> CheckResult:
    return CheckResult(
        name=name,
        dataset="staged",
        definition=name,
        outcome=outcome,
        value=value,
        threshold=threshold,
        severity=severity,
        message=message,
    )
