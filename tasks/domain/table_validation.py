"""Consistency of the declaration of a silver or gold table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from storage.schemas import type_of
from tasks.domain.spec import (
    ColumnSpec,
    Deletes,
    DomainSpec,
    Fold,
    GoldSpec,
    Rounding,
    SilverSpec,
    SourceSpec,
    Strategy,
)


def silver_problems(domain: DomainSpec, table: SilverSpec) -> list[str]:
    """What does not fit together in a silver table's declaration, each with its key."""
    if table.sql:
        return [*query_problems(domain, table), *_no_rows(table)]
    found = [f"key: {k} is not a column" for k in table.key if k not in table.columns]
    if not table.key:
        found.append("key: no key")
    found += _cluster_by(table)
    found += _no_query(table)
    found += [
        f"sequence_by: {c} is not a column"
        for c in table.sequence_by
        if table.source and c not in table.columns
    ]
    found += [
        f"sequence_by: {c} is looked up, and what is looked up may come later"
        for c in table.sequence_by
        if c in table.columns and table.columns[c].lookup is not None
    ]
    found += _changes(table)
    if table.strategy is Strategy.scd2:
        found += _scd2(domain, table)
        return found + (_row_by_row(domain, table) if table.source else [])
    if not table.source:
        return [*found, f"source: a table of strategy {table.strategy} names its bronze table"]
    return found + _row_by_row(domain, table)


def query_problems(domain: DomainSpec, table: GoldSpec | SilverSpec) -> list[str]:
    """Whether a table that is the result of a query can be computed, and which parts of it."""
    named = {"key": table.key, "group_by": table.group_by, "fold": table.fold}
    found = [
        f"{name}: {c} is not a column"
        for name, columns in named.items()
        for c in columns
        if c not in table.columns
    ]
    if not table.key:
        found.append("key: no key")
    found += [*_given(table.columns, computes=True), *_groups(table.groups, table.inputs)]
    if bool(table.groups) == bool(table.full):
        found.append(
            "groups: give either groups (which keys a changed row of each input touches) "
            "or full (why the table is computed whole)"
        )
    return found + _fold(table) + _file(domain, "sql", table.sql)


def _cluster_by(table: SilverSpec) -> list[str]:
    found = [f"cluster_by: {c} is not a column" for c in table.cluster_by if c not in table.columns]
    if table.cluster_by and table.strategy not in (Strategy.append, Strategy.events):
        found.append(
            "cluster_by: only rows that are added are sorted, so it is for append and events, "
            f"not {table.strategy}"
        )
    return found


def _fold(table: GoldSpec | SilverSpec) -> list[str]:
    """Whether a stored row and new rows hold all that the table's row is made of."""
    if not table.fold:
        return []
    made = {n for n, c in table.columns.items() if c.expr}
    found = [
        f"columns.{name}: give its fold (sum, min or max), or an expr over columns that have one"
        for name in table.columns
        if name not in {*table.key, *table.fold, *made}
    ]
    if len(table.inputs) != 1:
        found.append(f"fold: needs one input, not {len(table.inputs)}")
    found += [
        f"fold.{name}: is in the key, which is not folded"
        for name in table.fold
        if name in table.key
    ]
    found += [f"fold.{name}: has an expr; give one of them" for name in table.fold if name in made]
    found += [
        f"fold.{name}: sums are kept of int, bigint and decimal columns, not of a {kind}: "
        "a sum of others depends on the order of the rows"
        for name, kind in _summed(table).items()
        if kind.split("(", maxsplit=1)[0] not in ("int", "bigint", "decimal")
    ]
    if table.full or table.group_by:
        found.append("fold: a row is folded by its key; it goes with groups that give the key")
    return found


def _summed(table: GoldSpec | SilverSpec) -> dict[str, str]:
    summed = [name for name, how in table.fold.items() if how is Fold.sum]
    return {name: table.columns[name].type for name in summed if name in table.columns}


def _no_query(table: SilverSpec) -> list[str]:
    """What only tables that are the result of a query have; a history of other tables has some of it."""
    history = table.strategy is Strategy.scd2 and not table.source
    refused = ["group_by", "fold", "full", *([] if history else ["inputs", "groups"])]
    return [f"{name}: only a table with sql has it" for name in refused if getattr(table, name)]


def _no_rows(table: SilverSpec) -> list[str]:
    """What only tables that are fed row by row have."""
    refused = (
        "source", "rules", "references", "lookups", "reduce", "samples", "events", "sequence_by",
        "delete_when", "delete_missing", "ignore_null_updates", "window", "first_wins", "track", "partition",
        "cluster_by",
    )  # fmt: skip
    found = [f"{name}: a table with sql has none" for name in refused if getattr(table, name)]
    if table.strategy is not Strategy.upsert:
        found.append(f"strategy: a table with sql has none; leave out {table.strategy}")
    return found


def _changes(table: SilverSpec) -> list[str]:
    """Whether the rows can be made independent of the order of their arrival, as declared."""
    log = table.strategy in (Strategy.events, Strategy.append)
    folds = table.ignore_null_updates
    refused = {
        f"ignore_null_updates: is for upsert, not {table.strategy}": folds
        and table.strategy is not Strategy.upsert,
        "sequence_by: without it the rows would depend on the order of arrival": not table.sequence_by
        and (folds or table.strategy is Strategy.events),
        "lookups and reduce: a history has none; look up in a query on it": table.is_derived
        and bool(table.lookups or table.reduce),
        f"reduce: is for upsert and snapshot, not {table.strategy}": log and bool(table.reduce),
        f"delete_missing: is for snapshot, not {table.strategy}": table.delete_missing
        and table.strategy is not Strategy.snapshot,
        "sequence_by: snapshots are ordered by one number, date, timestamp or text, or by delivery": (
            table.strategy is Strategy.snapshot and not _orders_snapshots(table)
        ),
        f"window: is for append, not {table.strategy}": table.window is not None
        and table.strategy is not Strategy.append,
        f"first_wins: is for append, not {table.strategy}": table.first_wins
        and table.strategy is not Strategy.append,
        "sequence_by: with first_wins the order of delivery decides; give one of them": table.first_wins
        and bool(table.sequence_by),
        "window.days: is not at least 1": table.window is not None and table.window.days < 1,
        "delete_when: such rows are never deleted; use upsert, scd2 or events": bool(
            table.delete_when
        )
        and (table.strategy is Strategy.append or bool(table.reduce)),
        f"deletes: a table of strategy {table.strategy} keeps its rows": log
        and table.deletes is not Deletes.soft,
        f"missing_share: {table.missing_share} is outside 0 to 1": not 0
        <= table.missing_share
        <= 1,
    }
    return [text for text, holds in refused.items() if holds]


def _orders_snapshots(table: SilverSpec) -> bool:
    kinds = [table.columns[c].type for c in table.sequence_by if c in table.columns]
    return len(table.sequence_by) <= 1 and "boolean" not in kinds


def _scd2(domain: DomainSpec, table: SilverSpec) -> list[str]:
    found = [f"track: {c} is not a column" for c in table.track if c not in table.columns]
    if not table.sequence_by:
        found.append("sequence_by: SCD2 needs the columns that order its events")
    elif table.source and table.columns.get(table.sequence_by[0], ColumnSpec()).type != "timestamp":
        found.append(
            f"sequence_by: {table.sequence_by[0]} is not a timestamp, so no span can start at it"
        )
    if not table.track:
        found.append("track: SCD2 needs the columns whose change starts a span")
    if bool(table.events) == bool(table.source):
        found.append("events: SCD2 needs either a source or the SQL file that gives its events")
    if table.source:
        return found
    if table.partition is not None:
        found.append("partition: a history of other tables' events takes theirs; leave it out")
    found += [*_given(table.columns), *_groups(table.groups, table.inputs)]
    return found + (_file(domain, "events", table.events) if table.events else [])


def _groups(groups: Mapping[str, str], inputs: Sequence[str]) -> list[str]:
    if not groups:
        return []
    found = [f"groups: {label} is not among the inputs" for label in groups if label not in inputs]
    missing = [label for label in inputs if label not in groups]
    return found + [f"groups: nothing said of {label}" for label in missing]


def _row_by_row(domain: DomainSpec, table: SilverSpec) -> list[str]:
    if not (table.source or "").startswith("bronze."):
        return [f"source: {table.source} is not a bronze table"]
    columns = table.row_columns
    found = _columns(domain, table)
    for kind in ("references", "lookups"):
        for name, join in getattr(table, kind).items():
            found += [f"{kind}.{name}.by: {c} is not a column" for c in join.by if c not in columns]
            found += [
                f"{kind}.{name}.by: {c} is not a column of {join.table}"
                for c in join.by.values()
                if not _has(domain, join.table, c)
            ]
            if _vanishes(domain, join.table):
                found.append(
                    f"{kind}.{name}: rows of {join.table} vanish (deletes: hard), so what is found there "
                    "would depend on the order of arrival; use deletes: soft"
                )
    found += [
        f"rules.{n}.column: {r.column} is not a column"
        for n, r in table.rules.items()
        if r.column not in columns
    ]
    found += _partition(domain, table) if table.partition else []
    return found + (_file(domain, "reduce", table.reduce) if table.reduce else [])


def _partition(domain: DomainSpec, table: SilverSpec) -> list[str]:
    """Whether the rows of a span of time can be made again without the others."""
    assert table.partition is not None  # noqa: S101 - the caller has looked
    column, source = table.partition.column, table.partition.source
    bronze = domain.bronze.get((table.source or "").removeprefix("bronze."), SourceSpec())
    kind = table.columns.get(column, ColumnSpec()).type
    hard = table.keeps_tombstones
    refused = {
        f".column: {column} is not a column": column not in table.columns,
        f".column: {column} is a {kind}, not a date or timestamp": column in table.columns
        and kind not in ("date", "timestamp"),
        f".source: {source} is not a column of {table.source}": source not in bronze.columns,
        ": a table with reduce is folded whole; leave it out": table.reduce is not None,
        ": a snapshot that deletes what it lacks has no parts; leave it out": table.delete_missing,
        ": rows that deletes: hard took leave nothing to find them by; use deletes: soft": hard,
    }
    return [f"partition{text}" for text, holds in refused.items() if holds]


def _vanishes(domain: DomainSpec, label: str) -> bool:
    layer, _, name = label.partition(".")
    table = domain.silver.get(name) if layer == "silver" else None
    if table is None:
        return False
    return table.deletes is Deletes.hard and bool(table.delete_when or table.delete_missing)


def _columns(domain: DomainSpec, table: SilverSpec) -> list[str]:
    source = domain.bronze.get((table.source or "").removeprefix("bronze."))
    kind = "samples" if table.reduce else "columns"
    found: list[str] = []
    for name, column in table.row_columns.items():
        origin = column.source or name
        if column.lookup is not None:
            found += [
                f"{kind}.{name}.lookup: {text}" for text in _lookup(domain, table, column.lookup)
            ]
        elif column.expr is None and source is not None and origin not in source.columns:
            found.append(f"{kind}.{name}.source: {origin} is not a column of {table.source}")
    found += _types(table.row_columns, kind)
    found += [
        f"{kind}.{name}.rounds: only a decimal that is read or computed is rounded; leave it out"
        for name, column in table.row_columns.items()
        if column.rounds is not Rounding.none
        and (column.lookup is not None or not column.type.startswith("decimal"))
    ]
    found += [
        f"{kind}.{name}.required: what is looked up may come later; write a check of the gate instead"
        for name, column in table.row_columns.items()
        if column.required and column.lookup is not None
    ]
    return found + (_given(table.columns) if table.reduce else [])


def _given(columns: Mapping[str, ColumnSpec], *, computes: bool = False) -> list[str]:
    """What is wrong with columns of a query, whose rows do not go to quarantine.

    Args:
        columns: The columns of the table.
        computes: Whether columns with `expr` are computed of the query's rows, not given by it.
    """
    found = _types(columns) + [
        f"columns.{name}.required: rows of a query are not judged one by one; write a check of the gate"
        for name, column in columns.items()
        if column.required
    ]
    found += [
        f"columns.{name}.rounds: a query gives the value; round it there"
        for name, column in columns.items()
        if column.rounds is not Rounding.none and not (computes and column.expr)
    ]
    return found + [
        f"columns.{name}.rounds: only a decimal is rounded; leave it out"
        for name, column in columns.items()
        if column.rounds is not Rounding.none
        and computes
        and column.expr
        and not column.type.startswith("decimal")
    ]


def _lookup(domain: DomainSpec, table: SilverSpec, wanted: str) -> list[str]:
    name, _, column = wanted.partition(".")
    if name not in table.lookups:
        return [f"no lookup {name!r}"]
    other = table.lookups[name].table
    return [] if _has(domain, other, column) else [f"{other} has no column {column!r}"]


def _has(domain: DomainSpec, label: str, column: str) -> bool:
    """Whether a silver table has the column; True for a table that is a problem of its own."""
    layer, _, name = label.partition(".")
    table = domain.silver.get(name) if layer == "silver" else None
    return table is None or column in table.columns


def _types(columns: Mapping[str, ColumnSpec], kind: str = "columns") -> list[str]:
    found = []
    for name, column in columns.items():
        try:
            type_of(column.type)
        except ValueError as error:
            found.append(f"{kind}.{name}.type: {error}")
    return found


def _file(domain: DomainSpec, key: str, relative: str) -> list[str]:
    path = Path(domain.roots.sql) / relative
    return [] if path.is_file() else [f"{key}: no file {path}"]
