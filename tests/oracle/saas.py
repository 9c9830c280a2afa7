"""Saas computed from its source files in DuckDB, by the text of the specification alone.

Nothing here knows how the engine works: files are read with Python's ``csv`` and ``json``, the rules and
formulas are DuckDB SQL. Choices made where the specification leaves one:

- The sequence time of a change is the instant that the source's log gives it (``source.ts_us``), then its
  place in that log (``source.lsn``); of users and invoices it is ``updated_at``. Equal sequences: a delete
  is later than a change, then the greater values are, column by column, nulls first.
- A delete event needs no more than key and sequence.
- A change that breaks a rule changes nothing, in the current state and in the history. Beside the
  specification's rules an instant more than a day after the delivery breaks one; files count as delivered at
  the time of the computation.
- A deviation: ``user_id`` is tracked beside plan, status, monthly_price and ended_at, so that a subscription
  that changes hands counts for each user in the user's time. By the specification's list the change of the
  user alone begins no span.
- Of several rows of an event the greatest counts, so that the order of arrival leaves no trace.
- The first subscription start is the earliest ``started_at`` of a subscription that is there, or first span
  of a deleted one; the newest sequence time is that of the newest change of any subscription, also of one
  that was deleted or never came. Where the first start is in a later month there is no month.
- A subscription that was deleted counts in the months before; it has no row in the lifecycle.
- Neighbouring spans are compared across the gap of a deletion. Whole days are of 24 hours.
- ``avg_days_to_pay`` is over paid invoices with ``paid_at``.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

KEYS: dict[str, tuple[str, ...]] = {
    "users": ("user_id",),
    "subscriptions": ("subscription_id",),
    "subscriptions_history": ("subscription_id", "valid_from"),
    "events": ("event_id",),
    "invoices": ("invoice_id",),
    "mrr_monthly": ("month",),
    "churn_monthly": ("month",),
    "cohort_retention": ("cohort_month", "month_number"),
    "subscription_lifecycle": ("subscription_id",),
    "revenue_monthly": ("month",),
}
"""The key of each silver table and the grain of each gold table of the specification."""

PATTERNS = {
    "users": "saas_users*.csv",
    "changes": "saas_subscription_changes*.jsonl",
    "events": "saas_events*.jsonl",
    "invoices": "saas_invoices*.csv",
}
_ROW = (
    "subscription_id",
    "user_id",
    "plan",
    "status",
    "monthly_price",
    "started_at",
    "ended_at",
    "updated_at",
)
COLUMNS = {
    "users": (
        "user_id", "email", "name", "country", "plan_interest", "created_at", "updated_at",
    ),
    "changes": (*_ROW, "op", "lsn", "ts_us"),
    "events": ("event_id", "user_id", "event_type", "event_ts"),
    "invoices": (
        "invoice_id", "subscription_id", "amount", "issued_at", "paid_at", "status", "updated_at",
    ),
}  # fmt: skip
_TIMESTAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z?"
_NUMBER = r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?"
_INTEGER = r"[+-]?[0-9]+([.]0*)?"
_TYPES = {
    "monthly_price": ("DECIMAL(18,2)", _NUMBER),
    "amount": ("DECIMAL(18,2)", _NUMBER),
    "lsn": ("BIGINT", _INTEGER),
    "ts_us": ("BIGINT", _INTEGER),
    **dict.fromkeys(
        ("created_at", "updated_at", "started_at", "ended_at", "event_ts", "issued_at", "paid_at"),
        ("TIMESTAMP", _TIMESTAMP),
    ),
}
_KEY = {
    "users": "user_id",
    "changes": "subscription_id",
    "events": "event_id",
    "invoices": "invoice_id",
}
_ZONED = ("started_at", "ended_at", "updated_at")
_SEQUENCE = {"users": ("updated_at",), "changes": ("ts_us", "lsn"), "invoices": ("updated_at",)}
_RULES = {
    "users": "",
    "changes": """
        WHEN op = 'd' THEN NULL
        WHEN user_id IS NULL OR plan IS NULL OR status IS NULL OR monthly_price IS NULL
            OR started_at IS NULL THEN 'required_missing'
        WHEN status NOT IN ('trialing', 'active', 'past_due', 'canceled') THEN 'unknown_status'
        WHEN monthly_price < 0 THEN 'negative_price'
        WHEN ended_at < started_at THEN 'ends_before_start'
        WHEN make_timestamp(ts_us) > {tomorrow} THEN 'in_the_future'""",
    "events": """
        WHEN user_id IS NULL OR event_type IS NULL OR event_ts IS NULL THEN 'required_missing'
        WHEN event_ts > {tomorrow} THEN 'in_the_future'""",
    "invoices": """
        WHEN amount IS NULL OR issued_at IS NULL OR status IS NULL THEN 'required_missing'
        WHEN status NOT IN ('open', 'paid', 'void') THEN 'unknown_status'
        WHEN amount < 0 THEN 'negative_amount'
        WHEN updated_at > {tomorrow} THEN 'in_the_future'""",
}
_SILVER_OF = {
    "users": ("users",),
    "changes": ("subscriptions", "subscriptions_history"),
    "events": ("events",),
    "invoices": ("invoices",),
}

# One statement a relation, in order of dependency; `good_<source>` are the typed rows that break no rule.
_RELATIONS = {
    "silver_users": """
        SELECT * FROM good_users
        QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY updated_at DESC,
            email DESC NULLS LAST, name DESC NULLS LAST, country DESC NULLS LAST,
            plan_interest DESC NULLS LAST, created_at DESC NULLS LAST) = 1
    """,
    "silver_invoices": """
        SELECT * FROM good_invoices
        QUALIFY row_number() OVER (PARTITION BY invoice_id ORDER BY updated_at DESC,
            subscription_id DESC NULLS LAST, amount DESC, issued_at DESC,
            paid_at DESC NULLS LAST, status DESC) = 1
    """,
    "silver_events": """
        SELECT * FROM good_events
        QUALIFY row_number() OVER (PARTITION BY event_id
            ORDER BY user_id DESC, event_type DESC, event_ts DESC) = 1
    """,
    # Every change with its sequence time; of those at one instant only the last counts.
    "changes": """
        SELECT *, make_timestamp(ts_us) AS changed_at, op IS NOT DISTINCT FROM 'd' AS is_delete
        FROM good_changes
        QUALIFY row_number() OVER (PARTITION BY subscription_id, ts_us ORDER BY lsn DESC,
            op IS NOT DISTINCT FROM 'd' DESC, user_id DESC NULLS LAST, plan DESC NULLS LAST,
            status DESC NULLS LAST, monthly_price DESC NULLS LAST, started_at DESC NULLS LAST,
            ended_at DESC NULLS LAST, updated_at DESC NULLS LAST, op DESC NULLS LAST) = 1
    """,
    "last_changes": """
        SELECT * FROM changes
        QUALIFY row_number() OVER (PARTITION BY subscription_id ORDER BY changed_at DESC) = 1
    """,
    "silver_subscriptions": """
        SELECT c.* EXCLUDE (is_delete, ts_us), u.country AS user_country
        FROM last_changes AS c
        LEFT JOIN silver_users AS u ON u.user_id = c.user_id
        WHERE NOT is_delete
    """,
    "silver_subscriptions_history": """
        WITH states AS (
            SELECT subscription_id, changed_at, is_delete, user_id, plan, status, monthly_price, ended_at,
                CASE WHEN NOT is_delete THEN
                    {'user': user_id, 'plan': plan, 'status': status, 'price': monthly_price, 'end': ended_at}
                END AS state
            FROM changes
        ),
        starts AS (
            SELECT * FROM states
            WINDOW history AS (PARTITION BY subscription_id ORDER BY changed_at)
            QUALIFY row_number() OVER history = 1 OR state IS DISTINCT FROM lag(state) OVER history
        ),
        spans AS (
            SELECT *, lead(changed_at) OVER (PARTITION BY subscription_id ORDER BY changed_at) AS valid_to
            FROM starts
        )
        SELECT subscription_id, user_id, plan, status, monthly_price, ended_at,
            changed_at AS valid_from, valid_to, valid_to IS NULL AS is_current
        FROM spans
        WHERE NOT is_delete
    """,
    "months": """
        WITH bounds AS (
            SELECT
                least(
                    (SELECT min(started_at) FROM silver_subscriptions),
                    (SELECT min(changed_at) FROM changes AS c WHERE NOT is_delete
                        AND subscription_id IN (SELECT subscription_id FROM last_changes WHERE is_delete))
                ) AS first_start,
                (SELECT max(changed_at) FROM changes) AS newest
        )
        SELECT
            CAST(unnest(generate_series(date_trunc('month', first_start), newest, INTERVAL 1 MONTH))
                AS DATE) AS month,
            newest
        FROM bounds
    """,
    # Every user in every month, with 0 where the user pays nothing.
    "user_months": """
        WITH users AS (SELECT DISTINCT user_id FROM silver_subscriptions_history),
        mrr AS (
            SELECT m.month, h.user_id, sum(h.monthly_price) AS mrr
            FROM months AS m
            JOIN silver_subscriptions_history AS h
                ON CAST(m.month AS TIMESTAMP) + INTERVAL 1 MONTH - INTERVAL 1 MICROSECOND >= h.valid_from
                AND coalesce(CAST(m.month AS TIMESTAMP) + INTERVAL 1 MONTH - INTERVAL 1 MICROSECOND
                    < h.valid_to, true)
            WHERE h.status IN ('active', 'past_due')
                AND (h.ended_at IS NULL
                    OR h.ended_at > CAST(m.month AS TIMESTAMP) + INTERVAL 1 MONTH - INTERVAL 1 MICROSECOND)
            GROUP BY ALL
        )
        SELECT m.month, u.user_id, coalesce(r.mrr, 0) AS mrr,
            coalesce(lag(r.mrr) OVER history, 0) AS before,
            coalesce(max(r.mrr) OVER (history ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
                AS highest_before,
            min(CASE WHEN r.mrr > 0 THEN m.month END) OVER (PARTITION BY u.user_id) AS cohort_month
        FROM months AS m
        CROSS JOIN users AS u
        LEFT JOIN mrr AS r ON r.month = m.month AND r.user_id = u.user_id
        WINDOW history AS (PARTITION BY u.user_id ORDER BY m.month)
    """,
    "gold_mrr_monthly": """
        SELECT month,
            CAST(sum(mrr) AS DECIMAL(18,2)) AS mrr,
            count(*) FILTER (mrr > 0) AS customers,
            CAST(sum(CASE WHEN before = 0 AND highest_before = 0 THEN mrr ELSE 0 END) AS DECIMAL(18,2))
                AS new_mrr,
            CAST(sum(CASE WHEN before = 0 AND highest_before > 0 THEN mrr ELSE 0 END) AS DECIMAL(18,2))
                AS reactivation_mrr,
            CAST(sum(CASE WHEN before > 0 AND mrr > before THEN mrr - before ELSE 0 END) AS DECIMAL(18,2))
                AS expansion_mrr,
            CAST(sum(CASE WHEN mrr > 0 AND mrr < before THEN mrr - before ELSE 0 END) AS DECIMAL(18,2))
                AS contraction_mrr,
            CAST(sum(CASE WHEN mrr = 0 THEN -before ELSE 0 END) AS DECIMAL(18,2)) AS churned_mrr
        FROM user_months GROUP BY month
    """,
    "gold_churn_monthly": """
        SELECT month,
            count(*) FILTER (before > 0) AS customers_at_start,
            count(*) FILTER (before > 0 AND mrr = 0) AS churned_customers,
            count(*) FILTER (before > 0 AND mrr = 0) / nullif(count(*) FILTER (before > 0), 0)
                AS customer_churn_rate,
            CAST(sum(before) AS DECIMAL(18,2)) AS mrr_at_start,
            CAST(sum(CASE WHEN mrr < before THEN before - mrr ELSE 0 END) AS DOUBLE)
                / nullif(CAST(sum(before) AS DOUBLE), 0) AS gross_revenue_churn_rate,
            CAST(sum(mrr) FILTER (before > 0) AS DOUBLE) / nullif(CAST(sum(before) AS DOUBLE), 0)
                AS net_revenue_retention
        FROM user_months GROUP BY month
    """,
    "gold_cohort_retention": """
        SELECT cohort_month,
            CAST(date_diff('month', cohort_month, month) AS INTEGER) AS month_number,
            count(*) AS cohort_size,
            count(*) FILTER (mrr > 0) AS retained,
            count(*) FILTER (mrr > 0) / count(*) AS retention_rate
        FROM user_months
        WHERE month >= cohort_month
        GROUP BY ALL
    """,
    "gold_subscription_lifecycle": """
        WITH prices AS (
            SELECT subscription_id, valid_from, plan,
                monthly_price - lag(monthly_price) OVER history AS step
            FROM silver_subscriptions_history
            WINDOW history AS (PARTITION BY subscription_id ORDER BY valid_from)
        ),
        histories AS (
            SELECT subscription_id, arg_min(plan, valid_from) AS first_plan,
                count(*) FILTER (step > 0) AS upgrades, count(*) FILTER (step < 0) AS downgrades
            FROM prices GROUP BY subscription_id
        )
        SELECT s.subscription_id, h.first_plan, s.plan AS current_plan, s.status, s.started_at, s.ended_at,
            (epoch_us(coalesce(s.ended_at, (SELECT max(changed_at) FROM changes))) - epoch_us(s.started_at))
                // 86400000000 AS tenure_days,
            h.upgrades, h.downgrades,
            CAST(coalesce((SELECT sum(i.amount) FROM silver_invoices AS i
                WHERE i.subscription_id = s.subscription_id AND i.status = 'paid'), 0) AS DECIMAL(18,2))
                AS lifetime_revenue
        FROM silver_subscriptions AS s
        JOIN histories AS h ON h.subscription_id = s.subscription_id
    """,
    "gold_revenue_monthly": """
        SELECT CAST(date_trunc('month', issued_at) AS DATE) AS month,
            CAST(sum(amount) AS DECIMAL(18,2)) AS invoiced,
            CAST(coalesce(sum(amount) FILTER (status = 'paid'), 0) AS DECIMAL(18,2)) AS paid,
            CAST(coalesce(sum(amount) FILTER (status = 'open'), 0) AS DECIMAL(18,2)) AS outstanding,
            avg((epoch_us(paid_at) - epoch_us(issued_at)) / 86400000000) FILTER (status = 'paid')
                AS avg_days_to_pay
        FROM silver_invoices
        WHERE status != 'void'
        GROUP BY ALL
    """,
}


@dataclass(frozen=True)
class Oracle:
    """What the lake must hold after all deliveries.

    Attributes:
        silver: Business columns of the silver tables.
        gold: The five gold tables of the specification.
        quarantine: For each silver table ``source_file`` (a file's name), ``record`` (from 1, without
            header) and ``rule``.
    """

    silver: dict[str, pa.Table]
    gold: dict[str, pa.Table]
    quarantine: dict[str, pa.Table]


def compute(files: Sequence[Path]) -> Oracle:
    """Compute silver, gold and quarantine after all files were delivered, in whatever order.

    Raises:
        ValueError: A file's name belongs to no source, or a CSV record has too few or too many fields.
    """
    with duckdb.connect(config={"threads": 2}) as connection:
        quarantine: dict[str, pa.Table] = {}
        for source, found in _by_source(files).items():
            connection.register("text", _text(source, found))
            connection.execute(f"CREATE TABLE judged_{source} AS {_judged(source)}")
            connection.unregister("text")
            columns = ", ".join(COLUMNS[source])
            connection.execute(
                f"CREATE VIEW good_{source} AS SELECT {columns} FROM judged_{source} WHERE _rule IS NULL"
            )
            held = connection.sql(
                f"SELECT _file, _record, _rule FROM judged_{source} WHERE _rule IS NOT NULL"
            ).to_arrow_table()
            quarantine |= dict.fromkeys(_SILVER_OF[source], held)
        for name, sql in _RELATIONS.items():
            connection.execute(f"CREATE TABLE {name} AS {sql}")
        return Oracle(_tables(connection, "silver_"), _tables(connection, "gold_"), quarantine)


def _tables(connection: duckdb.DuckDBPyConnection, prefix: str) -> dict[str, pa.Table]:
    return {
        name.removeprefix(prefix): connection.sql(f"FROM {name}").to_arrow_table()
        for name in _RELATIONS
        if name.startswith(prefix)
    }


def _by_source(files: Sequence[Path]) -> dict[str, list[Path]]:
    """The files of each source, each content once."""
    found: dict[str, dict[str, Path]] = {source: {} for source in PATTERNS}
    for path in files:
        sources = [s for s, pattern in PATTERNS.items() if fnmatchcase(path.name, pattern)]
        if not sources:
            raise ValueError(f"{path}: the name matches no saas source; rename it or leave it out")
        found[sources[0]].setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return {source: list(paths.values()) for source, paths in found.items()}


def _text(source: str, files: Sequence[Path]) -> pa.Table:
    """The records as text, null where empty; a line that is not a record has `_broken`."""
    columns = COLUMNS[source]
    rows = []
    for path in files:
        read = _csv(path) if path.suffix == ".csv" else _json(path)
        for number, record in enumerate(read, start=1):
            values = {c: (record or {}).get(c) or None for c in columns}
            rows.append(values | {"_file": path.name, "_record": number, "_broken": record is None})
    schema = pa.schema(
        [(c, pa.string()) for c in (*columns, "_file")]
        + [("_record", pa.int64()), ("_broken", pa.bool_())]
    )
    return pa.Table.from_pylist(rows, schema)


def _csv(path: Path) -> Iterator[Mapping[str, str | None] | None]:
    with path.open(encoding="utf-8", newline="") as stream:
        for record in csv.DictReader(stream, strict=True):
            if None in record or None in record.values():
                raise ValueError(f"{path}: a record has another number of fields than the header")
            yield record


def _json(path: Path) -> Iterator[Mapping[str, str | None] | None]:
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            value = json.loads(line, parse_int=str, parse_float=str)
        except ValueError:
            yield None
            continue
        yield _event(value) if "source" in value else value


def _event(value: Mapping[str, Any]) -> dict[str, str | None]:
    row = value["before"] if value["op"] == "d" else value["after"]
    source = value["source"]
    return {**row, "op": value["op"], "lsn": source["lsn"], "ts_us": source["ts_us"]}


def _judged(source: str) -> str:
    """Typed columns, and `_rule`: the first rule that a row breaks, else null."""
    typed, unparsed = [], []
    rules = _RULES[source].format(tomorrow="now() AT TIME ZONE 'UTC' + INTERVAL 1 DAY")
    for column in COLUMNS[source]:
        if column not in _TYPES:
            typed.append(column)
            continue
        type_name, form = _TYPES[column]
        zoned = source == "changes" and column in _ZONED
        if zoned:  # Debezium writes UTC with its sign
            form += "Z?"
        parsed = f"CASE WHEN regexp_full_match({column}, '{form}') THEN try_cast({column} AS {type_name}) END"
        typed.append(f"{parsed} AS {column}")
        asked = " AND op IS DISTINCT FROM 'd'" if zoned else ""
        unparsed.append(f"({column} IS NOT NULL AND {parsed} IS NULL{asked})")
    no_sequence = " OR ".join(f"{c} IS NULL" for c in _SEQUENCE.get(source, ())) or "false"
    return f"""
        WITH shaped AS (
            SELECT {", ".join(typed)}, _file, _record,
                CASE
                    WHEN _broken THEN 'malformed_record'
                    WHEN coalesce(trim({_KEY[source]}), '') = '' THEN 'key_missing'
                    WHEN {" OR ".join(unparsed)} THEN 'not_parseable'
                    WHEN {no_sequence} THEN 'sequence_missing'
                END AS _shape
            FROM text
        )
        SELECT * EXCLUDE (_shape),
            CASE WHEN _shape IS NOT NULL THEN _shape {rules} END AS _rule
        FROM shaped
    """
