"""What a pushed record has to be: the types and the row rules that silver holds the table's rows to.

The record is judged before it is accepted, so its sender learns at once what silver would keep out. Silver
still judges each row: rules that look at other tables, or that DuckDB reads differently, are its alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Annotated, Any

import duckdb
import pyarrow as pa
import sqlglot
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)
from sqlglot.errors import SqlglotError

from flows.api.problems import Problem
from flows.api.segments import Record
from tasks.authoring.cases.values import double, whole
from tasks.domain.spec import ColumnSpec, DomainSpec, Rounding, RuleSpec, SilverSpec
from tasks.ingest.sources.json_text import Number, compact, parse, text_of
from tasks.rows.parsing import FORMS

INGESTED = "_ingested_at"
_ROW = "_row"
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)


@dataclass(frozen=True)
class Judged:
    """A rule, with its condition in DuckDB's words."""

    column: str
    says: str
    sql: str


class RecordValidator:
    """Judges the records of one bronze table.

    Args:
        domain: The domain.
        table: Name of the bronze table, which declares `push`.
    """

    def __init__(self, domain: DomainSpec, table: str) -> None:
        source = domain.bronze[table]
        assert source.push is not None  # noqa: S101 - the caller chose a table that has it
        self.table, self._key = table, source.push.key
        fed = [s for s in domain.silver.values() if s.source == f"bronze.{table}"]
        typed = {
            name: spec
            for silver in fed
            for name, spec in silver.row_columns.items()
            if spec.expr is None and spec.lookup is None
        }
        self._names = {name: spec.source or name for name, spec in typed.items()}
        self.model = _model(table, source.columns, typed, self._names, self._key)
        self._schema = pa.schema(
            [(name, _ARROW[_kind(spec.type)]) for name, spec in typed.items()]
            + [(INGESTED, pa.timestamp("us", tz="UTC")), (_ROW, pa.int64())]
        )
        # One for all requests, since opening one takes longer than judging; records are judged one by one.
        self._engine = duckdb.connect(config={"threads": 1})
        self._engine.execute("SET TimeZone = 'UTC'")
        self._rules = _judged(self._engine, fed, self._schema)
        tests = "".join(f", ({rule.sql})" for rule in self._rules)
        self._query = f"select {_ROW}{tests} from rows order by {_ROW}"

    def judge(self, values: Sequence[Any], *, batch: bool) -> tuple[list[Record], list[Problem]]:
        """The records of parsed JSON values, or what is wrong with them.

        Args:
            values: JSON values, numbers as they were written.
            batch: Whether problems name the number of their record.
        """
        models: list[BaseModel] = []
        found: list[Problem] = []
        for number, value in enumerate(values, 1):
            row = number if batch else None
            if not isinstance(value, dict):
                found.append(Problem.of("record", "is not a JSON object", compact(value), row))
                continue
            try:
                models.append(self.model.model_validate(value))
            except ValidationError as error:
                found += [
                    Problem.of(".".join(map(str, e["loc"])), _reason(e), _value(e), row)
                    for e in error.errors(include_url=False)
                ]
        if not found:
            found = self._broken(models, values, batch=batch)
        if found:
            return [], found
        return [self._record(v, m) for v, m in zip(values, models, strict=True)], []

    def id_of(self, line: bytes) -> str:
        """The id in a line that was accepted."""
        return str(parse(line.decode())[self._key])

    def _record(self, value: Mapping[str, Any], model: BaseModel) -> Record:
        """The record as it was sent, but instants in UTC and without an offset, as silver reads them."""
        instants = {
            name: found.replace(tzinfo=None).isoformat()
            for name in value
            if isinstance(found := getattr(model, name), datetime)
        }
        return Record(str(value[self._key]), compact({**value, **instants}).encode())

    def _broken(
        self, models: Sequence[BaseModel], values: Sequence[Any], *, batch: bool
    ) -> list[Problem]:
        """What the row rules say of records of the right types."""
        if not models or not self._rules:
            return []
        now = datetime.now(UTC)
        columns: dict[str, list[Any]] = {
            name: [_plain(getattr(m, source)) for m in models]
            for name, source in self._names.items()
        }
        columns |= {INGESTED: [now] * len(models), _ROW: list(range(len(models)))}
        self._engine.register("rows", pa.Table.from_pydict(columns, schema=self._schema))
        judged = self._engine.execute(self._query).fetchall()
        found = [
            (number, rule)
            for number, *broken in judged
            for rule, is_broken in zip(self._rules, broken, strict=True)
            if is_broken
        ]
        return [
            Problem.of(
                self._names[rule.column], rule.says,
                text_of(values[number].get(self._names[rule.column])),
                number + 1 if batch else None,
            )
            for number, rule in found
        ]  # fmt: skip


def _model(
    table: str,
    columns: Sequence[str],
    typed: Mapping[str, ColumnSpec],
    names: Mapping[str, str],
    key: str,
) -> type[BaseModel]:
    """A model of the record: each of the source's columns, with the type and meaning that silver gives."""
    by_source = {names[name]: spec for name, spec in typed.items()}
    fields: dict[str, Any] = {}
    for column in columns:
        spec = by_source.get(column, ColumnSpec())
        kind = _python(spec)
        if spec.required or column == key:
            fields[column] = (kind, Field(description=spec.doc))
        else:
            fields[column] = (kind | None, Field(default=None, description=spec.doc))
    return create_model(f"{table}_record", __config__=ConfigDict(extra="forbid"), **fields)


def _kind(type_name: str) -> str:
    kind = type_name.split("(", maxsplit=1)[0].lower()
    return kind if kind in _ARROW else "string"


def _python(spec: ColumnSpec) -> Any:
    return _decimal(spec) if _kind(spec.type) == "decimal" else _PYTHON[_kind(spec.type)]


def _decimal(spec: ColumnSpec) -> Any:
    """A number as the column holds it: exactly, or rounded as silver does, before a rule sees it."""
    digits, _, places = spec.type.partition("(")[2].rstrip(")").partition(",")
    precision, scale = int(digits or 10), int(places or 0)
    limit = Decimal(10) ** (precision - scale)
    context = Context(prec=precision + 1, rounding=ROUND_HALF_UP)

    def held(value: Decimal) -> Decimal:
        rounded = value.quantize(Decimal(1).scaleb(-scale), context=context)
        if rounded.copy_abs() >= limit:
            raise ValueError(f"has more than {precision - scale} digits before its point")
        if rounded != value and spec.rounds is Rounding.none:
            raise ValueError(f"has more than {scale} digits after its point")
        return rounded

    bounds = Field(gt=-limit, lt=limit)
    return Annotated[Decimal, _written("decimal"), bounds, AfterValidator(held)]


def _text(value: Any) -> Any:
    """Text, or a number as it was written; an empty text is not a value that identifies anything."""
    if isinstance(value, str) and "\0" in value:
        raise ValueError("holds the character U+0000")
    return str(value) if isinstance(value, Number) else value


def _written(kind: str) -> BeforeValidator:
    """A number or its text, in the form that silver reads; not a truth value."""
    form = re.compile(FORMS[kind], re.ASCII)

    def checked(value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, str) and not form.fullmatch(value)):
            raise ValueError("is not a number in the digits 0 to 9")
        if not isinstance(value, str):
            return value
        if kind == "double":
            return double(value)
        return whole(value) if kind in ("int", "bigint") else str(value)

    return BeforeValidator(checked)


def _instant(value: Any) -> Any:
    """ISO 8601; a bare number is not an instant, since nothing says of which unit it is."""
    if isinstance(value, str) and not isinstance(value, Number) and _INSTANT.fullmatch(value):
        with suppress(ValueError):
            return datetime.fromisoformat(value)  # cuts digits beyond microseconds, as silver does
    raise ValueError("is not an instant like 2026-03-01T10:00:00Z")


def _day(value: Any) -> Any:
    """A date as ISO 8601 writes it."""
    form = re.compile(FORMS["date"], re.ASCII)
    if not isinstance(value, str) or isinstance(value, Number) or not form.fullmatch(value):
        raise ValueError("is not a date like 2026-03-01")
    return value


def _truth(value: Any) -> Any:
    """A boolean, or a text that silver reads as one."""
    if not isinstance(value, bool) and str(value).strip().lower() not in TRUTHS:
        raise ValueError("is not a boolean")
    return value


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is not within the years 1 to 9999 in UTC") from None


def _whole(kind: str, bits: int) -> Any:
    """A number that a column of so many bits holds."""
    limit = 2 ** (bits - 1)
    return Annotated[int, _written(kind), Field(ge=-limit, lt=limit)]


TRUTHS = ("t", "true", "y", "yes", "1", "f", "false", "n", "no", "0")
"""What Spark takes for a boolean."""
_TEXT = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
_PYTHON: Mapping[str, Any] = {
    "string": _TEXT,
    "timestamp": Annotated[datetime, BeforeValidator(_instant), AfterValidator(_utc)],
    "date": Annotated[date, BeforeValidator(_day)],
    "int": _whole("int", 32),
    "bigint": _whole("bigint", 64),
    "double": Annotated[float, _written("double"), Field(allow_inf_nan=False)],
    "boolean": Annotated[bool, BeforeValidator(_truth)],
}
_ARROW: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
    "int": pa.int64(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "decimal": pa.float64(),  # near enough for a rule; silver judges the exact value
}


def _judged(
    engine: duckdb.DuckDBPyConnection, fed: Sequence[SilverSpec], schema: pa.Schema
) -> list[Judged]:
    """The row rules that need the record alone, in DuckDB's words; those it cannot read are left out."""
    rules = [
        rule for silver in fed for rule in silver.rules.values() if rule.column in schema.names
    ]
    engine.register("rows", schema.empty_table())
    return [made for rule in rules if (made := _translated(engine, rule)) is not None]


def _translated(connection: duckdb.DuckDBPyConnection, rule: RuleSpec) -> Judged | None:
    try:
        sql = sqlglot.parse_one(rule.when, read="spark").sql(dialect="duckdb")
        connection.execute(f"select ({sql}) from rows")
    except (SqlglotError, duckdb.Error):
        return None
    return Judged(rule.column, rule.says, sql)


def _reason(error: Any) -> str:
    """What pydantic says, without the name that it gives to errors of validators."""
    return str(error["msg"]).removeprefix("Value error, ")


def _value(error: Mapping[str, Any]) -> object:
    given = error.get("input")
    return None if error["type"] == "missing" or isinstance(given, dict) else given
