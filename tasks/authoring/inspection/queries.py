"""Queries of a domain: tables, events of histories, folds, groups, volumes, and the newest business date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql.types import DataType, NumericType, StructType

from storage.schemas import named_types, schema
from storage.types import TableRef
from tasks.aggregate.query import history
from tasks.authoring.cases import tables as cases
from tasks.authoring.inspection.analyzer import Inspection
from tasks.domain.schemas import business_columns, group_of
from tasks.domain.spec import ColumnSpec, GoldSpec, SilverSpec, VolumeSpec, is_query
from tasks.rows import reducing
from tasks.rows.computed import with_computed


def look(inspection: Inspection) -> None:
    """Add what does not resolve, or gives other columns than declared."""
    domain = inspection.domain
    for name, gold in domain.gold.items():
        _query_table(inspection, domain.ref(f"gold.{name}"), gold)
        if gold.volume is not None:
            _volume(inspection, name, gold.volume, gold.inputs)
    for name, silver in domain.silver.items():
        if silver.sql:
            _query_table(inspection, domain.ref(f"silver.{name}"), silver)
        elif silver.events:
            _events(inspection, name, silver)
        if silver.reduce and inspection.complete(silver.source or ""):
            _reduce(inspection, name, silver)
    rows = inspection.query("domain.as_of", domain.as_of, inspection.labels)
    if rows is not None:
        types = [f.dataType.simpleString() for f in rows.schema.fields]
        if types not in (["date"], ["timestamp"]):
            inspection.found.error(
                "domain.as_of", f"gives {', '.join(types)}; one date or timestamp is wanted"
            )


def _query_table(inspection: Inspection, ref: TableRef, table: GoldSpec | SilverSpec) -> None:
    """A table that is the result of a query: its SQL, the columns computed of it, and its groups."""
    key = f"domain.{ref.label}"
    rows = inspection.file_query(f"{key}.sql", table.sql, table.inputs)
    if rows is not None:
        wanted = {name: column.type for name, column in table.columns.items() if not column.expr}
        _compare(inspection, f"{key}.sql", table.sql, rows, wanted, table.columns, in_order=True)
        _computed(inspection, ref, table.columns)
    by = group_of(inspection.domain, ref)
    types = [table.columns[k].type for k in by if k in table.columns]
    _groups(inspection, key, table.groups, table.inputs, by, types)


def _computed(inspection: Inspection, ref: TableRef, columns: Mapping[str, ColumnSpec]) -> None:
    """Each `expr` over the columns that the SQL has to give."""
    try:
        declared = schema([(name, column.type) for name, column in columns.items()])
    except ValueError:
        return  # an unknown type, which composition has found
    given = [field for field in declared.fields if not columns[field.name].expr]
    rows = inspection.session.createDataFrame([], schema=StructType(given))
    for name, column in columns.items():
        if column.expr:
            made = partial(with_computed, ref, rows, {name: column})
            inspection.resolved(f"domain.{ref.label}.columns.{name}.expr", made)


def _compare(
    inspection: Inspection,
    key: str,
    relative: str,
    rows: DataFrame,
    wanted: Mapping[str, str],
    declared: Mapping[str, ColumnSpec],
    *,
    in_order: bool,
) -> None:
    """The columns of a query against those declared."""
    found, columns = named_types(rows.schema), f"{key.rpartition('.')[0]}.columns"
    before = inspection.found.errors
    for column, kind in wanted.items():
        at = f"{columns}.{column}" if column in declared else key
        if column not in found:
            inspection.found.error(at, f"{relative} gives no column {column}")
        elif found[column] != kind:
            inspection.found.error(
                at, f"{relative} gives {column} as {found[column]}, declared is {kind}"
            )
    file = inspection.sql_path(relative)
    for column in found:
        if column not in wanted:
            inspection.found.error_at(file, 1, key, f"gives {column}, which is not declared")
    if len(rows.columns) != len(found):
        inspection.found.error_at(file, 1, key, "gives two columns of one name")
    if in_order and before == inspection.found.errors and list(found) != list(wanted):
        inspection.found.error(
            columns, f"{relative} gives them in another order: {', '.join(found)}"
        )


def _events(inspection: Inspection, name: str, silver: SilverSpec) -> None:
    key, relative = f"domain.silver.{name}.events", silver.events or ""
    types = [silver.columns[k].type for k in silver.key if k in silver.columns]
    _groups(inspection, f"domain.silver.{name}", silver.groups, silver.inputs, silver.key, types)
    rows = inspection.file_query(key, relative, silver.inputs)
    if rows is None:
        return
    found = named_types(rows.schema)
    wanted = {n: c.type for n, c in silver.columns.items()}
    if silver.sequence_by:
        wanted[silver.sequence_by[0]] = "timestamp"
    wanted |= {c: found.get(c, "string") for c in silver.sequence_by[1:]}
    ordered = rows.select([c for c in rows.columns if c in wanted])
    _compare(inspection, key, relative, ordered, wanted, silver.columns, in_order=False)
    if wanted.keys() <= found.keys():
        ref = inspection.domain.ref(f"silver.{name}")
        made = inspection.resolved(key, lambda: history(inspection.domain, ref, rows))
        if made is not None:
            own = dict(business_columns(inspection.domain, ref))
            _compare(inspection, key, relative, made, own, silver.columns, in_order=False)


def _reduce(inspection: Inspection, name: str, silver: SilverSpec) -> None:
    key, relative = f"domain.silver.{name}.reduce", silver.reduce or ""
    ref = inspection.domain.ref(f"silver.{name}")
    try:
        (given,) = cases.inputs(inspection.domain, ref).values()
        inspection.view(reducing.ROWS, schema(given.items()))
    except ValueError:
        return  # an unknown type, which composition has found
    rows = inspection.file_query(key, relative, [])
    if rows is not None:
        wanted = dict(cases.expected(inspection.domain, ref))
        _compare(inspection, key, relative, rows, wanted, silver.columns, in_order=False)


def _groups(
    inspection: Inspection,
    key: str,
    groups: Mapping[str, str],
    inputs: Sequence[str],
    keys: Sequence[str],
    types: Sequence[str],
) -> None:
    for label, mapping in groups.items():
        if not inspection.complete(label):
            continue
        inspection.view("changes", inspection.schemas[label])
        at = f"{key}.groups.{label}"
        text = mapping if is_query(mapping) else f"select {mapping} from changes"
        rows = inspection.query(at, text, inputs)
        if rows is None:
            continue
        found = list(rows.schema.fields)
        if len(found) != len(keys):
            said = ", ".join(f.name for f in found)
            inspection.found.error(
                at,
                f"gives {len(found)} columns ({said}), wanted {len(keys)} ({', '.join(keys)})",
            )
            continue
        for field, column, kind in zip(found, keys, types, strict=False):
            if not _comparable(field.dataType, kind):
                inspection.found.error(
                    at, f"gives {field.dataType.simpleString()} for {column}, which is a {kind}"
                )


def _comparable(found: DataType, wanted: str) -> bool:
    numeric = isinstance(found, NumericType)
    if numeric and wanted.split("(", maxsplit=1)[0] in ("int", "bigint", "double", "decimal"):
        return True
    return found.simpleString() == wanted


def _volume(inspection: Inspection, name: str, volume: VolumeSpec, inputs: Sequence[str]) -> None:
    key = f"domain.gold.{name}.volume"
    rows = inspection.query(f"{key}.input", volume.input, inputs)
    if rows is not None:
        _number(inspection, f"{key}.input", rows.schema)
    own = f"gold.{name}"
    if not inspection.complete(own):
        return
    view = inspection.session.table(inspection.domain.ref(own).view)
    key = f"{key}.output"
    made = inspection.resolved(
        key, lambda: view.selectExpr(f"{volume.output} as v", "count(*) as rows")
    )
    if made is not None:
        _number(inspection, key, made.drop("rows").schema)


def _number(inspection: Inspection, key: str, found: StructType) -> None:
    types = [f.dataType for f in found.fields]
    if len(types) != 1 or not isinstance(types[0], NumericType):
        said = ", ".join(t.simpleString() for t in types)
        inspection.found.error(key, f"gives {said}; one number is wanted")
