"""Typing and judging of rows: DataFrame to DataFrame, pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
from storage.sql import quote
from tasks.ordering import DELETED
from tasks.parsing import beyond_years, casts_exactly, parsed, refusal, unparseable
from tasks.sources.reader import UNREADABLE
from tasks.spec import ColumnSpec, Rounding, SilverSpec

RAW = "_raw"
"""Struct of the bronze columns, carried beside the typed ones."""
MADE = "_made_"
"""Begins the names of texts of computed values, beside those that their column's type may not hold."""

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
    return F.from_json("_rescued", StructType([StructField(c, StringType()) for c in columns]))


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
    kept = rescued(source)
    values = [F.coalesce(F.col(quote(c)), kept[c]).alias(c) for c in source]
    result = rows.select(
        F.struct(*values).alias(RAW), *[F.col(quote(c)) for c in metadata]
    ).select(
        "*",
        *[parsed(_raw(n, c), c.type, c.rounds).alias(n) for n, c in sourced.items()],
    )  # fmt: skip
    for name, column in columns.items():
        if column.expr is not None:
            result = _computed(result, name, column)
    return result


def _computed(rows: DataFrame, name: str, column: ColumnSpec) -> DataFrame:
    """Add a computed value, and where its column may not hold it, the text of what it does not hold."""
    rows = rows.withColumn(name, F.expr(column.expr or ""))
    value, kind = F.col(quote(name)), rows.schema[name].dataType
    if kind == type_of(column.type):
        return rows
    if casts_exactly(kind, column.type):
        return rows.withColumn(name, value.cast(column.type))
    made, text = MADE + name, value.cast("string")
    if isinstance(kind, TimestampType | TimestampNTZType):  # a date holds a midnight
        text = F.when(value != F.to_date(value), text)
    held = F.when(F.col(quote(made)).isNull(), value.try_cast(column.type))
    held = held.otherwise(parsed(F.col(quote(made)), column.type, column.rounds))
    return rows.withColumn(made, text).withColumn(name, held)


def judged(rows: DataFrame, spec: SilverSpec) -> DataFrame:
    """Add `_is_deleted`, `_rule` and `_reason`: the first row rule that a row breaks, null for a good row.

    The order is: malformed record, key missing, value not parseable, sequence missing, required value
    missing, then the table's own rules as declared. A delete event needs no more than key and sequence.
    A rule that is among the row's `_waived` is passed over, where the rows have that column.
    """
    deleted = (
        F.coalesce(F.expr(spec.delete_when), F.lit(False)) if spec.delete_when else F.lit(False)
    )
    rows = rows.withColumn(DELETED, deleted)
    made = [name for name in rows.columns if name.startswith(MADE)]
    verdicts = [*_shape(spec, made), *_rules(spec)]
    if WAIVED in rows.columns:
        verdicts = [(name, failed & ~waived(name), text) for name, failed, text in verdicts]
    where = F.concat(
        F.lit(" (record "),
        F.col("_record_number"),
        F.lit(" of "),
        F.col("_source_file"),
        F.lit(")"),
    )
    rule = F.coalesce(*[F.when(failed, F.lit(name)) for name, failed, _ in verdicts])
    reason = F.coalesce(*[F.when(failed, text) for _, failed, text in verdicts])
    rows = rows.withColumn("_rule", rule).withColumn("_reason", F.concat(reason, where))
    return rows.drop(*made)


def waived(rule: str) -> Column:
    """True where a person lets the row in despite the rule."""
    if rule in UNPUBLISHABLE:
        return F.lit(False)
    return F.coalesce(F.array_contains(F.col(WAIVED), rule), F.lit(False))


def _shape(spec: SilverSpec, made: Sequence[str]) -> list[tuple[str, Column, Column]]:
    columns = {n: c for n, c in spec.row_columns.items() if is_sourced(c)}
    found = F.get_json_object("_rescued", "$._malformed.found")
    expected = F.get_json_object("_rescued", "$._malformed.expected")
    says = F.get_json_object("_rescued", "$._malformed.says")
    line = F.coalesce(F.get_json_object("_rescued", "$._malformed.where"), F.lit("the line"))
    counted = F.concat(F.lit("record has "), found, F.lit(" fields, the header "), expected)
    unread = _unreadable({c.source or n for n, c in columns.items()})
    verdicts = [
        (
            MALFORMED_RECORD,
            found.isNotNull() | says.isNotNull(),
            F.coalesce(F.concat(line, F.lit(" is no record: "), says), counted),
        ),
        (NOT_PARSEABLE, unread != "", unread),
    ]
    for key in spec.key:
        value = _raw(key, columns[key]) if key in columns else F.col(quote(key)).cast("string")
        empty = F.coalesce(F.trim(value), F.lit("")) == ""
        verdicts.append((KEY_MISSING, empty, F.lit(f"{key}: key is empty")))
    for name, column in columns.items():
        if column.type != "string":  # whose every text is a value
            raw = _raw(name, column)
            failed = F.coalesce(raw != "", F.lit(False)) & F.col(quote(name)).isNull()
            verdicts.append((NOT_PARSEABLE, failed, refusal(name, raw, column.type)))
    for name in spec.row_columns:
        if MADE + name in made:
            text, value = F.col(quote(MADE + name)), F.col(quote(name))
            failed = F.coalesce(text != "", F.lit(False)) & value.isNull()
            reason = refusal(name, text, spec.row_columns[name].type)
            verdicts.append((NOT_PARSEABLE, failed, reason))
    for name, column in spec.row_columns.items():
        if column.expr is not None and column.type in DATED:
            value = F.col(quote(name))
            text = F.concat(
                F.lit(f"{name}: '"), value.cast("string"), F.lit("' is beyond the years 1 to 9999")
            )
            verdicts.append((NOT_PARSEABLE, beyond_years(value), text))
    if spec.window is not None:  # the window that it falls in is part of the merge key
        dated = spec.window.column
        missing = F.lit(f"{dated}: places the row in its window, but is empty")
        verdicts.append((KEY_MISSING, F.col(quote(dated)).isNull(), missing))
    verdicts += [
        (SEQUENCE_MISSING, F.col(quote(c)).isNull(), F.lit(f"{c}: orders the events, but is empty"))
        for c in spec.sequence_by
    ]
    verdicts += [
        (
            REQUIRED_MISSING,
            F.col(quote(name)).isNull() & ~F.col(DELETED),
            F.lit(f"{name}: required, but empty"),
        )
        for name, column in spec.row_columns.items()
        if column.required
    ]
    return verdicts


def _unreadable(columns: Iterable[str]) -> Column:
    """What no text can hold of these columns of the source, in words; an empty text where all is well."""
    form = StructType([StructField(UNREADABLE, MapType(StringType(), StringType()))])
    kept = F.map_entries(F.from_json("_rescued", form)[UNREADABLE])
    own = F.filter(kept, lambda entry: entry["key"].isin(sorted(columns)))
    said = F.transform(
        own,
        lambda e: F.concat(e["key"], F.lit(": bytes that are not UTF-8, as base64 "), e["value"]),
    )
    return F.coalesce(F.array_join(said, "; "), F.lit(""))


def _raw(name: str, column: ColumnSpec) -> Column:
    return F.col(f"{RAW}.{quote(column.source or name)}")


def _rules(spec: SilverSpec) -> list[tuple[str, Column, Column]]:
    return [
        (
            rule.name or name,
            F.coalesce(F.expr(rule.when), F.lit(False)) & ~F.col(DELETED),
            F.concat(
                F.lit(f"{rule.column}: "), F.col(quote(rule.column)).cast("string"),
                F.lit(f" {rule.says}"),
            ),
        )
        for name, rule in spec.rules.items()
    ]  # fmt: skip


def suspect(columns: Iterable[tuple[str, str, Rounding]]) -> Column:
    """True for a bronze row with `_rescued`, or with a value that does not parse.

    Args:
        columns: Source column, type and rounding, of every typed use of the row.
    """
    bad = [unparseable(F.col(quote(name)), kind, rounds) for name, kind, rounds in columns]
    return any_of([F.col("_rescued").isNotNull(), *bad])


def any_of(conditions: Iterable[Column]) -> Column:
    """True where one of the conditions holds: as deep as one of them, however many there are."""
    return F.coalesce(*[F.when(condition, F.lit(True)) for condition in conditions], F.lit(False))
