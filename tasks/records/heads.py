"""The versions of tables that an attempt was staged and checked against: it is published upon no others."""

from __future__ import annotations

from storage.base import TOKEN_MEMORY, other_version
from storage.types import Snapshot, TableRef, Version
from tasks.context import Attempt, Context


def heads(context: Context, *tables: TableRef) -> dict[str, str]:
    """The current version of each table that exists, by `layer.table`; to be asked before it is read."""
    store = context.store
    return {ref.label: str(store.version(ref)) for ref in tables if store.exists(ref)}


def expected(context: Context, attempt: Attempt, ref: TableRef) -> Version:
    """The version that a write of an attempt has to find.

    That is the one that it was staged against, or what the attempt itself has made of it since: a repeat
    after a kill goes on. Parts of a backfill are staged side by side and published one after the other,
    so there the commits of its own run are no other's.

    Raises:
        CommitConflictError: Another writer has committed since; stage and check again.
    """
    checked = attempt.heads.get(ref.label)
    history = context.store.history(ref, limit=TOKEN_MEMORY)
    newest = history[0].version
    if checked is None:  # it was made by the attempt itself
        return newest
    for entry in history:
        if entry.version == checked:
            return newest
        if not _own(context, attempt, entry):
            break
    raise other_version(ref, newest, Version(checked))


def _own(context: Context, attempt: Attempt, entry: Snapshot) -> bool:
    record = entry.record
    if record is None:
        return False
    step = f"{attempt.token}."
    own = record.token == attempt.token or record.token.startswith(step)
    beside = attempt.is_part and record.run_id == context.run.run_id
    return own or beside or record.changes_columns
