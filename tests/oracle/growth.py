"""Growth computed from its CSV files in DuckDB, by the text of the specification alone.

Nothing here knows how the engine works. Choices that the specification leaves open are those written
beside the columns in ``conf/domain/growth.yaml``. Limits on the share of quarantined rows are not
applied: every file that is given counts as accepted. Files count as delivered at the time of the computation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path

import duckdb
import pyarrow as pa

from tests.oracle.growth_gold import GOLD, statistics

_NUMBER = r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"
_TYPES = {
    "int": ("INTEGER", r"[+-]?[0-9]+([.]0*)?"),
    "money": ("DECIMAL(18,2)", _NUMBER),
    "instant": (
        "TIMESTAMP",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z?",
    ),
}


@dataclass(frozen=True)
class Source:
    """A source: columns with their kinds, the required ones, and own rules by name."""

    key: str
    columns: dict[str, str]
    required: tuple[str, ...]
    rules: dict[str, str]
    sequence: str = ""


def _future(*columns: str) -> str:
    return f"greatest({', '.join(columns)}) > now() AT TIME ZONE 'UTC' + INTERVAL 1 DAY"


_TEXT = "text"
SOURCES = {
    "visits": Source(
        key="visit_id",
        columns={
            "visit_id": _TEXT,
            "visitor_id": _TEXT,
            "channel": _TEXT,
            "campaign": _TEXT,
            "cost": "money",
            "visited_at": "instant",
        },
        required=("visitor_id", "visited_at"),
        rules={"negative_amount": "cost < 0", "in_the_future": _future("visited_at")},
    ),
    "signups": Source(
        key="user_id",
        columns={
            "user_id": _TEXT,
            "visitor_id": _TEXT,
            "signed_up_at": "instant",
            "country": _TEXT,
        },
        required=("signed_up_at",),
        rules={"in_the_future": _future("signed_up_at")},
    ),
    "product_events": Source(
        key="event_id",
        columns={"event_id": _TEXT, "user_id": _TEXT, "event_type": _TEXT, "event_ts": "instant"},
        required=("user_id", "event_ts"),
        rules={"in_the_future": _future("event_ts")},
    ),
    "experiments": Source(
        key="assignment_id",
        columns={
            "assignment_id": _TEXT,
            "experiment": _TEXT,
            "variant": _TEXT,
            "user_id": _TEXT,
            "assigned_at": "instant",
        },
        required=("experiment", "variant", "user_id", "assigned_at"),
        rules={"in_the_future": _future("assigned_at")},
    ),
    "billing": Source(
        key="invoice_id",
        columns={
            "invoice_id": _TEXT,
            "user_id": _TEXT,
            "amount": "money",
            "status": _TEXT,
            "issued_at": "instant",
            "paid_at": "instant",
            "updated_at": "instant",
        },
        required=("user_id", "amount", "status", "issued_at"),
        rules={
            "unknown_status": "status NOT IN ('open', 'paid', 'refunded', 'overdue')",
            "negative_amount": "amount < 0",
            "paid_without_date": "status = 'paid' AND paid_at IS NULL",
            "in_the_future": _future("issued_at", "paid_at", "updated_at"),
        },
        sequence="updated_at",
    ),
    "support_tickets": Source(
        key="ticket_id",
        columns={
            "ticket_id": _TEXT,
            "user_id": _TEXT,
            "priority": _TEXT,
            "opened_at": "instant",
            "first_response_at": "instant",
            "resolved_at": "instant",
            "csat": "int",
            "updated_at": "instant",
        },
        required=("user_id", "opened_at"),
        rules={
            "csat_out_of_range": "csat NOT BETWEEN 1 AND 5",
            "resolved_before_opened": "resolved_at < opened_at",
            "in_the_future": _future("opened_at", "first_response_at", "resolved_at", "updated_at"),
        },
        sequence="updated_at",
    ),
}

KEYS: dict[str, tuple[str, ...]] = {
    **{table: (source.key,) for table, source in SOURCES.items()},
    "calendar": ("date",),
    "daily_kpis": ("date",),
    "conversion_funnel": ("channel", "week"),
    "channel_performance": ("channel",),
    "revenue": ("month",),
    "customer_health": ("user_id",),
    "experiment_performance": ("experiment", "variant"),
}
"""The key of each silver table and the grain of each gold table."""


@dataclass(frozen=True)
class Oracle:
    """What the lake must hold after all deliveries: business columns only.

    Attributes:
        silver: The six source tables.
        gold: The gold tables of the specification, and the calendar under them.
        quarantine: For each source ``source_file``, ``record`` (1-based) and ``rule``.
    """

    silver: dict[str, pa.Table]
    gold: dict[str, pa.Table]
    quarantine: dict[str, pa.Table]


def compute(deliveries: Sequence[Sequence[Path]]) -> Oracle:
    """Compute silver, gold and quarantine after the given deliveries, in their order.

    Raises:
        ValueError: A file's name belongs to no source.
    """
    with duckdb.connect(config={"threads": 2}) as connection:
        _read(connection, deliveries)
        for name, source in SOURCES.items():
            connection.execute(f"CREATE TABLE judged_{name} AS {_judged_sql(name, source)}")
            connection.execute(f"CREATE TABLE silver_{name} AS {_latest_sql(name, source)}")
        for name, sql in GOLD.items():
            connection.execute(f"CREATE TABLE {name} AS {sql}")
        gold = {
            name: connection.sql(f"FROM {name}").to_arrow_table()
            for name in KEYS
            if name not in SOURCES and name != "experiment_performance"
        }
        counts = connection.sql("FROM variant_counts").fetchall()
        return Oracle(
            silver={
                name: connection.sql(f"FROM silver_{name}").to_arrow_table() for name in SOURCES
            },
            gold=gold | {"experiment_performance": statistics(counts)},
            quarantine={
                name: connection.sql(
                    f"SELECT _file AS source_file, _record AS record, _rule AS rule "
                    f"FROM judged_{name} WHERE _rule IS NOT NULL"
                ).to_arrow_table()
                for name in SOURCES
            },
        )


def _read(connection: duckdb.DuckDBPyConnection, deliveries: Sequence[Sequence[Path]]) -> None:
    """Make ``text_<source>`` of all files, each content of a source once, in order of delivery."""
    for name, source in SOURCES.items():
        columns = ", ".join(f"{column} VARCHAR" for column in source.columns)
        connection.execute(
            f"CREATE TABLE text_{name} ({columns}, _file VARCHAR, _number BIGINT, _record BIGINT)"
        )
    seen: set[tuple[str, str]] = set()
    for delivery in deliveries:
        for path in sorted(delivery, key=lambda path: path.name):
            name = _source_of(path)
            content = (name, sha256(path.read_bytes()).hexdigest())
            if content in seen:
                continue
            wanted = ", ".join(SOURCES[name].columns)  # other columns are not the contract's
            connection.execute(
                f"INSERT INTO text_{name} SELECT {wanted}, ?, ?, row_number() OVER () FROM "
                "read_csv(?, header = true, all_varchar = true, delim = ',', quote = '\"', "
                "escape = '\"', parallel = false)",
                [path.name, len(seen), str(path)],
            )
            seen.add(content)


def _source_of(path: Path) -> str:
    for name in SOURCES:
        if fnmatchcase(path.name, f"growth_{name}*.csv"):
            return name
    raise ValueError(f"{path}: the name matches no growth source; rename it or leave it out")


def _judged_sql(name: str, source: Source) -> str:
    """Typed columns, and ``_rule``: the first rule that a row breaks, else null."""
    typed = ", ".join(f"{_parsed(c, kind)} AS {c}" for c, kind in source.columns.items())
    raw = ", ".join(f"nullif({c}, '') AS raw_{c}" for c in source.columns)
    unparsed = " OR ".join(f"(raw_{c} IS NOT NULL AND {c} IS NULL)" for c in source.columns)
    missing = " OR ".join(f"{c} IS NULL" for c in source.required)
    sequence = f"WHEN {source.sequence} IS NULL THEN 'sequence_missing'" if source.sequence else ""
    rules = " ".join(f"WHEN {when} THEN '{rule}'" for rule, when in source.rules.items())
    return rf"""
        SELECT *, CASE
            WHEN coalesce(regexp_full_match(raw_{source.key}, '\s*'), true) THEN 'key_missing'
            WHEN {unparsed} THEN 'not_parseable'
            {sequence}
            WHEN {missing} THEN 'required_missing'
            {rules}
        END AS _rule
        FROM (SELECT {typed}, {raw}, _file, _number, _record FROM text_{name})
    """


def _latest_sql(name: str, source: Source) -> str:
    """The last row of each id: by ``updated_at`` and then by value, else by order of delivery."""
    order = "_number DESC, _record DESC"
    if source.sequence:
        ties = [c for c in source.columns if c not in (source.key, source.sequence)]
        order = ", ".join(f"{c} DESC NULLS LAST" for c in (source.sequence, *ties))
    return f"""
        SELECT {", ".join(source.columns)} FROM judged_{name} WHERE _rule IS NULL
        QUALIFY row_number() OVER (PARTITION BY {source.key} ORDER BY {order}) = 1
    """


def _parsed(column: str, kind: str) -> str:
    if kind == _TEXT:
        return f"nullif({column}, '')"
    type_name, form = _TYPES[kind]
    return (
        f"CASE WHEN regexp_full_match({column}, '{form}') "
        f"THEN try_cast({column} AS {type_name}) END"
    )
