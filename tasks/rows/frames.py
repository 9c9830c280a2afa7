"""Typing and judging of rows: DataFrame to DataFrame, pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from storage.schemas import type_of
from storage.sql import literal, quote
from tasks.domain.schemas import DELETED, UNREADABLE
from tasks.domain.spec import ColumnSpec, Rounding, SilverSpec
from tasks.rows.parsing import beyond_years, casts_exactly, parsed, refusal, unparseable

RAW = "_raw"
"""Struct of the bronze columns, carried beside the typed ones."""
MADE = "_made_"
"""Prefix of the column with the text of a computed value, where the declared type may not hold the value."""

KEPT = "_kept"
LONG_TEXTS = {"maxStringLen": str(2**31 - 1)}
"""Spark's JSON reader takes no longer text than 20 million characters by itself, and gives null."""
PARSED = "_parsed_"
LOST = "_lost"
BROKEN = "_broken"
Typing = tuple[str, Rounding]
"""A type and its rounding: what one expression parses."""

DATED = ("date", "timestamp")
KEY_MISSING = "key_missing"
NOT_PARSEABLE = "not_parseable"
REQUIRED_MISSING = "required_missing"
SEQUENCE_MISSING = "sequence_missing"
MALFORMED_RECORD = "malformed_record"
REFERENCE_MISSING = "reference_missing"
UNPUBLISHABLE = (MALFORMED_RECORD, KEY_MISSING, NOT_PARSEABLE, SEQUENCE_MISSING)
"""Rules that no waiver lifts: without these there is no row to publish."""
HELD_RULE = "_held_rule"
"""The rule that the quarantine holds a row by when it is judged again; null for a new row."""
WAIVED = "_waived"
"""Names of the rules that a person lets the row in despite."""


def is_sourced(column: ColumnSpec) -> bool:
    """Whether the column is typed from a bronze column."""
    return column.expr is None and column.lookup is None


def rescued(columns: Sequence[str]) -> Column:
    """The columns' texts in `_rescued`, as a struct: those of rows that came before they were declared."""
    fields = StructType([StructField(c, StringType()) for c in columns])
    return F.from_json("_rescued", fields, LONG_TEXTS)


def typed(rows: DataFrame, columns: Mapping[str, ColumnSpec], source: Iterable[str]) -> DataFrame:
    """Bronze rows with typed columns beside `_raw` and the metadata columns.

    A value that bronze kept in `_rescued`, because its column was declared only later, is read from there.

    Args:
        rows: Bronze rows.
        columns: The columns wanted; those looked up are left out.
        source: Columns of the source, which move into `_raw`.
    """
    source = list(source)
    metadata = [c for c in rows.columns if c not in source and c.startswith("_")]
    sourced = {n: c for n, c in columns.items() if is_sourced(c)}
    texts = [f"coalesce({quote(c)}, {KEPT}.{quote(c)}) AS {quote(c)}" for c in source]
    result = (
        rows.withColumn(KEPT, rescued(source))
        .selectExpr(f"struct({', '.join(texts)}) AS {RAW}", *map(quote, metadata))
        .transform(_parsed_columns, sourced)
    )
    for name, column in columns.items():
        if column.expr is not None:
            result = _computed(result, name, column)
    return result


def _parsed_columns(rows: DataFrame, columns: Mapping[str, ColumnSpec]) -> DataFrame:
    """Add the typed columns: one expression for all texts of a type, so that no plan grows with them."""
    texts = {name: (_raw(name, c), c.type, c.rounds) for name, c in columns.items()}
    arrays: list[Column] = []
    place: dict[tuple[str, str, Rounding], str] = {}
    for number, (kind, of_kind) in enumerate(_by_kind(texts.values()).items()):
        array = f"{PARSED}{number}"
        all_texts = F.expr(f"array({', '.join(of_kind)})")
        arrays.append(F.transform(all_texts, partial(_parse, kind)).alias(array))
        place |= {(text, *kind): f"{array}[{i}]" for i, text in enumerate(of_kind)}
    values = [f"{place[text]} AS {quote(name)}" for name, text in texts.items()]
    return rows.select("*", *arrays).selectExpr(*map(quote, rows.columns), *values)


def _by_kind(texts: Iterable[tuple[str, str, Rounding]]) -> dict[Typing, list[str]]:
    """The texts of each type and rounding, each once."""
    kinds: dict[Typing, dict[str, None]] = {}
    for text, kind, rounds in texts:
        kinds.setdefault((kind, rounds), {})[text] = None
    return {kind: list(of_kind) for kind, of_kind in kinds.items()}


def _parse(kind: Typing, text: Column) -> Column:
    return parsed(text, *kind)


def _computed(rows: DataFrame, name: str, column: ColumnSpec) -> DataFrame:
    """Add a computed value, and where its column may not hold it, the text of what it does not hold."""
    rows = rows.withColumn(name, F.expr(column.expr or ""))
    value, kind = F.col(quote(name)), rows.schema[name].dataType
    if kind == type_of(column.type):
        return rows
    if casts_exactly(kind, column.type):
        return rows.withColumn(name, value.cast(column.type))
    made, text = MADE + name, value.cast("string")
    if isinstance(kind, TimestampType | TimestampNTZType):
        # A date holds a midnight, a number whole seconds.
        there = value.try_cast(column.type).try_cast(kind)
        text = F.when(~value.eqNullSafe(there), text)
    held = F.when(F.col(quote(made)).isNull(), value.try_cast(column.type))
    held = held.otherwise(parsed(F.col(quote(made)), column.type, column.rounds))
    return rows.withColumn(made, text).withColumn(name, held)


def with_broken_rule(rows: DataFrame, spec: SilverSpec) -> DataFrame:
    """Add `_is_deleted`, `_rule` and `_reason`: the first row rule that a row breaks, null for a good row.

    The order is: malformed record, key missing, value not parseable, sequence missing, required value
    missing, then the table's own rules as declared. A delete event needs no more than key and sequence.
    A rule that is among the row's `_waived` is passed over, where the rows have that column.

    Cache the result before you filter by `_rule`: Spark moves a filter to the rows that it reads, together
    with all expressions that it needs.
    """
    deleted = (
        F.coalesce(F.expr(spec.delete_when), F.lit(False)) if spec.delete_when else F.lit(False)
    )
    rows = rows.withColumn(DELETED, deleted)
    made = [name for name in rows.columns if name.startswith(MADE)]
    lost = _lost(spec, made)
    verdicts = [*_shape(spec, lost), *_rules(spec)]
    if WAIVED in rows.columns:
        verdicts = [(name, F.when(~waived(name), reason)) for name, reason in verdicts]
    broken = F.coalesce(
        *[
            F.when(reason.isNotNull(), F.struct(F.lit(name).alias("rule"), reason.alias("reason")))
            for name, reason in verdicts
        ]
    )
    where = F.expr("concat(' (record ', _record_number, ' of ', _source_file, ')')")
    placed = rows.selectExpr("*", f"{_place_of_lost(lost)} AS {LOST}")
    return (
        placed.withColumn(BROKEN, broken)
        .withColumn("_rule", F.col(f"{BROKEN}.rule"))
        .withColumn("_reason", F.concat(f"{BROKEN}.reason", where))
        .drop(BROKEN, LOST, *made)
    )


def waived(rule: str) -> Column:
    """True where a person lets the row in despite the rule."""
    if rule in UNPUBLISHABLE:
        return F.lit(False)
    return F.coalesce(F.array_contains(F.col(WAIVED), rule), F.lit(False))


RowRule = tuple[str, Column]
"""A rule, and why a row breaks it; null where it does not."""


def _shape(spec: SilverSpec, lost: Mapping[str, str]) -> list[RowRule]:
    columns = {n: c for n, c in spec.row_columns.items() if is_sourced(c)}
    return [
        *_unread(columns),
        *[(KEY_MISSING, _empty(key, columns.get(key))) for key in spec.key],
        *([_refused(spec, lost)] if lost else []),
        *_beyond(spec.row_columns),
        *_unplaced(spec),
        *_required(spec.row_columns),
    ]


def _unread(columns: Mapping[str, ColumnSpec]) -> list[RowRule]:
    """No record, or bytes that are not text."""
    found = F.get_json_object("_rescued", "$._malformed.found")
    expected = F.get_json_object("_rescued", "$._malformed.expected")
    says = F.get_json_object("_rescued", "$._malformed.says")
    line = F.coalesce(F.get_json_object("_rescued", "$._malformed.where"), F.lit("the line"))
    counted = F.concat(F.lit("record has "), found, F.lit(" fields, the header "), expected)
    malformed = F.coalesce(F.concat(line, F.lit(" is not a record: "), says), counted)
    unread = _unreadable({c.source or n for n, c in columns.items()})
    return [
        (MALFORMED_RECORD, F.when(found.isNotNull() | says.isNotNull(), malformed)),
        (NOT_PARSEABLE, F.when(unread != "", unread)),
    ]


def _empty(key: str, column: ColumnSpec | None) -> Column:
    value = F.expr(_raw(key, column)) if column else F.col(quote(key)).cast("string")
    empty = F.coalesce(F.trim(value), F.lit("")) == ""
    return F.when(empty, F.lit(f"{key}: key is empty"))


def _lost(spec: SilverSpec, made: Sequence[str]) -> dict[str, str]:
    """Columns that may be empty although there is a text, delivered or computed; each with the text."""
    delivered = {
        name: _raw(name, column)
        for name, column in spec.row_columns.items()
        if is_sourced(column) and column.type != "string"  # whose every text is a value
    }
    return delivered | {n: quote(MADE + n) for n in spec.row_columns if MADE + n in made}


def _place_of_lost(lost: Mapping[str, str]) -> str:
    """The place of the first column that lost its text, from 1; 0 where none did."""
    asked = [f"{quote(n)} IS NULL AND coalesce({t} <> '', false)" for n, t in lost.items()]
    return f"array_position(array({', '.join(asked)}), true)" if lost else "0"


def _refused(spec: SilverSpec, lost: Mapping[str, str]) -> RowRule:
    """The first text that is not a value of its column."""
    kinds = (literal(spec.row_columns[name].type) for name in lost)
    name, text, kind = (
        F.expr(f"get(array({', '.join(values)}), CAST({LOST} AS int) - 1)")
        for values in (map(literal, lost), lost.values(), kinds)
    )
    return NOT_PARSEABLE, F.when(F.col(LOST) > 0, refusal(name, text, kind))


def _beyond(columns: Mapping[str, ColumnSpec]) -> list[RowRule]:
    """A computed date or instant that not every reader holds."""
    verdicts = []
    for name, column in columns.items():
        if column.expr is not None and column.type in DATED:
            value = F.col(quote(name))
            text = F.concat(
                F.lit(f"{name}: '"), value.cast("string"), F.lit("' is beyond the years 1 to 9999")
            )
            verdicts.append((NOT_PARSEABLE, F.when(beyond_years(value), text)))
    return verdicts


def _unplaced(spec: SilverSpec) -> list[RowRule]:
    """What places a row is empty: its window, or its sequence."""
    verdicts = []
    if spec.window is not None:  # the window that it falls in is part of the merge key
        dated = spec.window.column
        missing = F.lit(f"{dated}: places the row in its window, but is empty")
        verdicts.append((KEY_MISSING, F.when(F.col(quote(dated)).isNull(), missing)))
    for column in spec.sequence_by:
        missing = F.lit(f"{column}: orders the events, but is empty")
        verdicts.append((SEQUENCE_MISSING, F.when(F.col(quote(column)).isNull(), missing)))
    return verdicts


def _required(columns: Mapping[str, ColumnSpec]) -> list[RowRule]:
    required = [name for name, column in columns.items() if column.required]
    if not required:
        return []
    missing = ", ".join(f"IF({quote(name)} IS NULL, {literal(name)}, NULL)" for name in required)
    first = F.expr(f"coalesce({missing}, NULL)")
    says = F.concat(first, F.lit(": required, but empty"))
    return [(REQUIRED_MISSING, F.when(~F.col(DELETED), says))]


def _unreadable(columns: Iterable[str]) -> Column:
    """What no text can hold of these columns of the source, in words; an empty text where all is well."""
    form = StructType([StructField(UNREADABLE, MapType(StringType(), StringType()))])
    kept = F.map_entries(F.from_json("_rescued", form, LONG_TEXTS)[UNREADABLE])
    own = F.filter(kept, lambda entry: entry["key"].isin(sorted(columns)))
    said = F.transform(
        own,
        lambda e: F.concat(e["key"], F.lit(": bytes that are not UTF-8, as base64 "), e["value"]),
    )
    return F.coalesce(F.array_join(said, "; "), F.lit(""))


def _raw(name: str, column: ColumnSpec) -> str:
    return f"{RAW}.{quote(column.source or name)}"


def _rules(spec: SilverSpec) -> list[RowRule]:
    return [
        (
            rule.name or name,
            F.when(
                F.coalesce(F.expr(rule.when), F.lit(False)) & ~F.col(DELETED),
                F.concat(
                    F.lit(f"{rule.column}: "),
                    F.coalesce(F.col(quote(rule.column)).cast("string"), F.lit("null")),
                    F.lit(f" {rule.says}"),
                ),
            ),
        )
        for name, rule in spec.rules.items()
    ]  # fmt: skip


def suspect(columns: Iterable[tuple[str, str, Rounding]]) -> Column:
    """True for a bronze row with `_rescued`, or with a value that does not parse.

    Args:
        columns: Source column, type and rounding, of every typed use of the row.
    """
    kinds = _by_kind((quote(name), kind, rounds) for name, kind, rounds in columns)
    bad = [
        F.exists(F.expr(f"array({', '.join(of_kind)})"), partial(_unparseable, kind))
        for kind, of_kind in kinds.items()
    ]
    return any_of([F.col("_rescued").isNotNull(), *bad])


def _unparseable(kind: Typing, text: Column) -> Column:
    return unparseable(text, *kind)


def any_of(conditions: Iterable[Column]) -> Column:
    """True where one of the conditions holds: as deep as one of them, however many there are."""
    return F.coalesce(*[F.when(condition, F.lit(True)) for condition in conditions], F.lit(False))
