"""Publication of a staged difference: merged, appended or put in the place of the table, in one commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.base import refuse_duplicates
from storage.plans import MergePlan
from storage.schemas import same_columns
from storage.types import Commit
from tasks.context import Attempt, Context, live
from tasks.records import changes
from tasks.records.heads import expected
from tasks.table.columns import replace
from tasks.table.kind import Audited
from tasks.table.layout import clustered

CHANGING = ("published", "refreshed", "removed")
"""Row counts of a commit that changes a row."""


class Difference(NamedTuple):
    """The staged rows, and how they are merged."""

    plan: MergePlan
    rows: DataFrame


def audited(context: Context, attempt: Attempt, difference: Difference) -> Audited:
    """The staged rows, without those of accepted batches among others, and the table as it will be."""
    ref, store, (plan, rows) = attempt.table, context.store, difference
    written = live(context.domain, ref, plan.initial(rows))
    accepted = [b.batch_id for b in attempt.batches if b.accepted]
    some = accepted and len(accepted) < len(attempt.batches)
    first = attempt.replace or store.head(ref).record is None
    result = written if first else live(context.domain, ref, plan.preview(store.read(ref), rows))
    seen = written.where(~F.col("_batch_id").isin(accepted)) if some else written
    return Audited(seen, result.cache())


def publish_difference(
    context: Context,
    attempt: Attempt,
    difference: Callable[[], Difference],
    *,
    cluster_by: Sequence[str] = (),
    looked_for: bool,
    may_repeat_keys: bool = False,
) -> Commit:
    """Commit the staged difference; where no row changes, a commit that only records the source versions.

    Args:
        context: The context.
        attempt: The attempt.
        difference: Reads the staged rows, once they have moved to where readers of the changes find them.
        cluster_by: Columns to sort the files by.
        looked_for: Whether every key of the rows was looked for in the whole table while staging.
        may_repeat_keys: Whether a query made the rows, which may give a key twice.
    """
    ref, store = attempt.table, context.store
    checked = expected(context, attempt, ref)  # what is found out from here on holds for it
    if not (attempt.replace or any(attempt.rows.get(name) for name in CHANGING)):
        return store.checkpoint(ref, context.record(attempt).as_checkpoint(), expected=checked)
    changes.keep(context, attempt)
    plan, rows = difference()
    record = context.record(attempt)
    initial = clustered(plan.initial(rows), cluster_by, attempt.rows.get("published", 0))
    empty = not store.stats(ref).rows
    whole = attempt.replace or store.head(ref).record is None
    if not (empty or whole or (looked_for and changes.only_new(context, attempt))):
        return store.merge(ref, rows, plan, record, expected=checked)
    if may_repeat_keys:
        refuse_duplicates(ref, plan.initial(rows), plan.keys)  # as a merge does
    if attempt.replace and not same_columns(store.columns(ref), initial.schema):
        return replace(context, ref, initial, record, checked)
    if whole and not empty:
        return store.overwrite(ref, initial, record, expected=checked)
    # Where nothing has to be matched, this is cheaper than a merge.
    return store.append(ref, initial, record, expected=checked)
