"""What the platform itself checks of a table that is fed row by row."""

from __future__ import annotations

from functools import reduce

import pyarrow.dataset as ds

from checks.model import CheckResult, Outcome, Severity
from tasks.context import Attempt, Context
from tasks.domain.schemas import quarantine_of
from tasks.domain.spec import QuarantineLimit, SilverSpec
from tasks.records import accounting
from tasks.table.checks import QUARANTINE_LIMIT, WAITING_LIMIT, own_check


def own_checks(context: Context, attempt: Attempt) -> list[CheckResult]:
    """That no row is lost, and that what is kept out is within its limits."""
    spec = context.domain.silver[attempt.table.name]
    found = [_conserved(attempt), _conserved_in_total(context, attempt, spec)]
    found += [_keys_conserved(attempt, spec)] if spec.reduce else []
    found += [_missing_keys(context, attempt, spec.missing_share)] if spec.delete_missing else []
    found += _limits(attempt, spec.quarantine)
    return found


def _conserved(attempt: Attempt) -> CheckResult:
    """Rule 5: each row that bronze recorded is accounted for, batch by batch."""
    ingested, accounted = attempt.rows["ingested"], accounting.accounted(attempt.rows)
    lost = accounting.unbalanced(attempt.notes.accounts or {})
    text = f"{accounted:,} of {ingested:,} ingested rows are accounted for"
    if lost:
        text += "; " + "; ".join(lost)
    outcome = Outcome.PASS if accounted == ingested and not lost else Outcome.FAIL
    return own_check(
        "rows are conserved", outcome, text, value=float(accounted), threshold=f"= {ingested}"
    )


def _conserved_in_total(context: Context, attempt: Attempt, spec: SilverSpec) -> CheckResult:
    """The same for all that was ever delivered, with the rows that are in quarantine."""
    held, source = quarantine_of(attempt.table), context.domain.ref(spec.source or "")
    balance = accounting.balance(
        context.store, attempt.table, held, source, context.record(attempt)
    )
    missing = balance.missing()
    text = f"{balance.rows['ingested']:,} delivered rows, {balance.owed:,} of them in quarantine"
    return own_check(
        "rows are conserved in total",
        Outcome.FAIL if missing else Outcome.PASS,
        "; ".join(missing) if missing else text,
        value=float(balance.rows["ingested"]),
        threshold="" if balance.delivered is None else f"= {balance.delivered}",
    )


def _keys_conserved(attempt: Attempt, spec: SilverSpec) -> CheckResult:
    """Where several rows fold into one, each merge key among them gives exactly one row that has it."""
    keys_in, made = attempt.rows["keys"], attempt.rows["published"] + attempt.rows["unchanged"]
    empty = reduce(ds.Expression.__or__, [ds.field(name).is_null() for name in spec.key])
    lost = attempt.count("rows", empty)
    text = f"{made:,} rows were made of {keys_in:,} merge keys"
    return own_check(
        "merge keys are conserved",
        Outcome.PASS if made == keys_in and not lost else Outcome.FAIL,
        f"{text}, {lost:,} of them without their key" if lost else text,
        value=float(made),
        threshold=f"= {keys_in}",
    )


def _missing_keys(context: Context, attempt: Attempt, share: float) -> CheckResult:
    """A snapshot that lacks many keys is rather incomplete than right."""
    missing, rows = attempt.rows["removed"], context.store.stats(attempt.table).rows
    return own_check(
        "keys missing from the snapshot within limit",
        Outcome.FAIL if missing > share * rows else Outcome.PASS,
        f"{missing:,} of {rows:,} rows are not in the newest snapshot",
        value=float(missing),
        threshold=f"<= {share:.0%} of the table's rows",
    )


def _limits(attempt: Attempt, limit: QuarantineLimit) -> list[CheckResult]:
    over = [
        f"{b.batch_id}: {b.quarantined:,} of {b.rows:,} rows"
        for b in attempt.batches
        if not b.accepted and b.quarantined > limit.rows and b.quarantined > limit.share * b.rows
    ]
    bound = f"<= {limit.share:.1%} of a batch, or <= {limit.rows} rows"
    total = float(sum(b.quarantined for b in attempt.batches))
    quarantined = own_check(
        QUARANTINE_LIMIT,
        Outcome.FAIL if over else Outcome.PASS,
        "over the limit: " + "; ".join(over) if over else "within the limit",
        value=total,
        threshold=bound,
    )
    held = [
        f"{b.batch_id}: {b.waiting:,} of {b.rows:,} rows"
        for b in attempt.batches
        if not b.accepted and b.waiting > limit.rows and b.waiting > limit.waiting_share * b.rows
    ]
    waiting = float(sum(b.waiting for b in attempt.batches))
    outcome = Outcome.FAIL if held else (Outcome.WARN if waiting else Outcome.PASS)
    text = "over the limit: " + "; ".join(held) if held else f"{waiting:,.0f} rows wait"
    return [
        quarantined,
        own_check(
            WAITING_LIMIT, outcome, text, value=waiting,
            threshold=f"<= {limit.waiting_share:.0%} of a batch", severity=Severity.LOW,
        ),
    ]  # fmt: skip
