"""The rows that each merge changed, kept beside the lake until every reader has consumed them.

A merge knows which rows it changes, before and after. They are kept under the token of the commit, before
that commit is made, and read only where the commit is in the table's history: a kill between the two leaves
rows that nobody reads. Losing them does no harm, since a reader that misses them computes everything again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from storage.parquet_reading import parquet_dataset
from storage.plans import BEFORE, GONE
from storage.sql import quote
from storage.types import Snapshot, TableRef, Version
from tasks.context import Attempt, Context
from tasks.domain.schemas import DELETED
from tasks.domain.spec import dependencies
from tasks.notes import Notes

ROOT = "_changes"
OUTCOME, OLDER_OUTCOME = "_outcome", "_fate"
"""What the merge did with a row; the second is its name in rows that earlier versions kept."""
OLD = "_old"
"""Whether an image shows a row as it was before its change."""


def folder(context: Context, ref: TableRef, token: str) -> Path:
    """Where the changed rows of a commit are kept."""
    return context.staging / ROOT / context.store.format_of(ref) / ref.path / token


def hand_on(context: Context, ref: TableRef, source: str, target: str) -> None:
    """Let a table's changed rows, and its attempts, be found in another format as well."""
    for root in (context.staging / ROOT, context.staging):
        if (kept := root / source / ref.path).is_dir():
            shutil.copytree(kept, root / target / ref.path, dirs_exist_ok=True)


def forget(context: Context, ref: TableRef, name: str) -> None:
    """Remove the changed rows and the attempts of a table in a format that it has left."""
    for root in (context.staging / ROOT, context.staging):
        shutil.rmtree(root / name / ref.path, ignore_errors=True)


def keep(context: Context, attempt: Attempt) -> None:
    """Move the staged rows to where readers find them; call it before the commit.

    A repeat finds them moved. Rows of an earlier attempt that was killed before its commit are replaced.
    """
    target, rows = folder(context, attempt.table, attempt.token), Path(attempt.part("rows"))
    if not rows.is_dir() or not attempt.notes.keeps_changes:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    rows.rename(target)


def rows_of(context: Context, attempt: Attempt) -> DataFrame:
    """The staged rows, also where a publication that failed half-way has moved them."""
    return context.store.rows_of(_place(context, attempt))


def only_new(context: Context, attempt: Attempt) -> bool:
    """Whether no staged row changes or removes a row of the table."""
    rows = parquet_dataset(_place(context, attempt))
    if BEFORE not in rows.schema.names:
        return False
    meets = ds.field(BEFORE).is_valid()
    own = [field.name for field in rows.schema.field(BEFORE).type]
    if OUTCOME in rows.schema.names and OUTCOME not in own:
        meets &= ds.field(OUTCOME) != "unchanged"
    return bool(rows.count_rows(filter=meets) == 0)


def _place(context: Context, attempt: Attempt) -> Path:
    rows = Path(attempt.part("rows"))
    return rows if rows.is_dir() else folder(context, attempt.table, attempt.token)


def since(context: Context, ref: TableRef, after: str | None, until: str) -> DataFrame | None:
    """The rows before and after their change, of the commits between two versions.

    Returns:
        The table's columns, several rows a key; None where not every change is known.
    """
    found = sides(context, ref, after, until)
    return found.old.unionByName(found.new) if found is not None else None


class Sides(NamedTuple):
    """Rows as they were before their changes, and as they were after."""

    old: DataFrame
    new: DataFrame


def sides(context: Context, ref: TableRef, after: str | None, until: str) -> Sides | None:
    """The rows of `since`, those before and those after their change apart.

    The parts of a backfill are staged in parallel, so what one part saw before its change may lack the rows
    of another. Their new rows therefore count as old ones too, and what depends on them is computed again.
    """
    if after is None:
        return None
    alike: dict[tuple[bool, pa.Schema], list[str]] = {}
    for entry in _between(context, ref, after, until):
        if entry.record is not None and entry.record.is_checkpoint:
            continue
        path = folder(context, ref, entry.record.token) if entry.record else None
        if path is None or not path.is_dir():
            return None
        restated = Notes.of(entry.record).backfill is not None
        columns = parquet_dataset(path).schema.remove_metadata()
        alike.setdefault((restated, columns), []).append(str(path))
    parts = [
        _sides(context.store.rows_of(*paths), restated=restated)
        for (restated, _), paths in alike.items()
    ]
    if not parts:
        none = context.store.read(ref).limit(0)
        return Sides(none, none)
    rows = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), parts)
    return Sides(rows.where(OLD).drop(OLD), rows.where(f"not {OLD}").drop(OLD))


def _sides(rows: DataFrame, *, restated: bool) -> DataFrame:
    images = _images(rows)
    if not restated:
        return images
    return images.unionByName(images.where(f"not {OLD}").withColumn(OLD, F.lit(True)))


def prune(context: Context) -> None:
    """Remove what every reader has consumed; call it while no other run of the domain is under way."""
    graph = dependencies(context.domain)
    for label in graph:
        root = folder(context, context.domain.ref(label), "-").parent
        if root.is_dir():
            readers = [context.domain.ref(reader) for reader in graph if label in graph[reader]]
            _prune(context, context.domain.ref(label), root, readers)


def _prune(context: Context, ref: TableRef, root: Path, readers: Iterable[TableRef]) -> None:
    heads = [context.store.head(r).record for r in readers if context.store.exists(r)]
    consumed = {head.inputs.get(ref.label) for head in heads if head} - {None}
    wanted: set[str] = set()
    for entry in context.store.history(ref):
        consumed.discard(entry.version)
        if not consumed:
            break
        wanted.add(entry.record.token if entry.record else "")
    for kept in root.iterdir():
        if kept.name not in wanted:
            shutil.rmtree(kept, ignore_errors=True)


def _between(context: Context, ref: TableRef, after: str, until: str) -> list[Snapshot]:
    found: list[Snapshot] = []
    for entry in context.store.since(ref, Version(after)):
        found.append(entry)
        if entry.version == until:
            break
    return found


def _images(rows: DataFrame) -> DataFrame:
    columns = rows.select(f"{BEFORE}.*").columns
    gone = F.coalesce(F.col(GONE), F.lit(False)) if GONE in rows.columns else F.lit(False)
    for outcome in (OUTCOME, OLDER_OUTCOME):
        if outcome in rows.columns and outcome not in columns:
            rows = rows.where(f"{outcome} <> 'unchanged'")
    if DELETED in rows.columns and DELETED not in columns:
        gone = gone | F.col(DELETED)
    after = rows.where(~gone).select(*map(quote, columns), F.lit(False).alias(OLD))
    before = rows.where(f"{BEFORE} is not null").select(f"{BEFORE}.*", F.lit(True).alias(OLD))
    return after.unionByName(before)
