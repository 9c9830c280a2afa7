"""Card transactions and their anomalies computed in DuckDB from the delivered files, by the specification.

Nothing here knows how the engine works. Choices that the text leaves: a row counts with the first rule that
it breaks (key, parseable, given, rules), one of which is an amount of 1e13 or more; every status and currency
counts; a transaction without an account is flagged by `very_high` only; transactions without a merchant are
in no row of `merchant_summary`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

KEYS: dict[str, tuple[str, ...]] = {
    "transactions": ("transaction_id",),
    "accounts": ("account_id",),
    "anomalies": ("transaction_id", "rule"),
    "daily_summary": ("transaction_date",),
    "merchant_summary": ("merchant_id", "transaction_date"),
}
COLUMNS = (
    "transaction_id", "account_id", "merchant_id", "merchant_category", "amount", "currency",
    "transaction_ts", "channel", "country", "status",
)  # fmt: skip
_INSTANT = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d+)?Z?$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"

_JUDGED = f"""
create table judged as
with typed as (
    select * replace (nullif(transaction_id, '') as transaction_id, nullif(account_id, '') as account_id,
                      nullif(merchant_id, '') as merchant_id),
        case when regexp_full_match(amount, '{_NUMBER}') then try_cast(amount as decimal(18, 2)) end as money,
        case when regexp_full_match(transaction_ts, '{_INSTANT}')
             then try_cast(transaction_ts as timestamp) end as ts
    from delivered
)
select *, case
    when coalesce(trim(transaction_id), '') = '' then 'key_missing'
    when (coalesce(amount, '') <> '' and money is null)
      or (coalesce(transaction_ts, '') <> '' and ts is null) then 'not_parseable'
    when money is null or ts is null then 'required_missing'
    when money <= 0 then 'amount_not_positive'
    when money >= 1e13::decimal(18, 2) then 'amount_implausible'
    when ts > ingested_at + interval 1 day then 'in_the_future'
end as rule
from typed
"""
_TRANSACTIONS = """
create table transactions as
select transaction_id, account_id, merchant_id, nullif(merchant_category, '') as merchant_category,
    money as amount, nullif(currency, '') as currency, ts as transaction_ts,
    nullif(channel, '') as channel, nullif(country, '') as country, nullif(status, '') as status,
    ts::date as transaction_date
from judged where rule is null
qualify row_number() over (partition by transaction_id order by delivery, record) = 1
"""
_ACCOUNTS = """
create table accounts as
select account_id, count(*) as transactions, avg(amount::double) as mean_amount,
    stddev_samp(amount::double) as stddev_amount,
    min(transaction_ts) as first_seen, max(transaction_ts) as last_seen
from transactions where account_id is not null group by account_id
"""
_ANOMALIES = """
create table anomalies as
with seen as (
    select *, count(*) over (
        partition by account_id order by epoch_us(transaction_ts)
        range between 59999999 preceding and current row) as near
    from transactions
), flagged as (
    select t.*, 'high_amount' as rule, (t.amount::double - a.mean_amount) / a.stddev_amount as score
    from seen as t join accounts as a using (account_id)
    where a.transactions >= 30 and t.amount::double > a.mean_amount + 3 * a.stddev_amount
    union all
    select *, 'velocity', near::double from seen where near > 10 and account_id is not null
    union all
    select *, 'very_high', amount::double from seen where amount > 10000
)
select transaction_id, rule, score, transaction_ts, account_id, merchant_id, amount from flagged
"""
_DAILY = """
create table daily_summary as
select t.transaction_date, count(*) as transactions, count(distinct t.account_id) as accounts,
    sum(t.amount)::decimal(18, 2) as amount, sum(t.amount)::double / count(*) as avg_amount,
    count(f.transaction_id) as anomalies, count(f.transaction_id)::double / count(*) as anomaly_rate
from transactions as t
left join (select distinct transaction_id from anomalies) as f using (transaction_id)
group by t.transaction_date
"""
_MERCHANTS = """
create table merchant_summary as
select t.merchant_id, t.transaction_date, count(*) as transactions,
    count(distinct t.account_id) as accounts, sum(t.amount)::decimal(18, 2) as amount,
    max(t.amount) as max_amount, count(f.transaction_id) as anomalies
from transactions as t
left join (select distinct transaction_id from anomalies) as f using (transaction_id)
where t.merchant_id is not null
group by t.merchant_id, t.transaction_date
"""
STEPS = {
    "silver": (_JUDGED, _TRANSACTIONS, _ACCOUNTS),
    "gold": (_ANOMALIES, _DAILY, _MERCHANTS),
}
"""The statements after `load`, in their order, by layer."""


@dataclass(frozen=True)
class Oracle:
    """What the lake must hold: tables by name, and file, record and rule of each quarantined row."""

    silver: dict[str, pa.Table]
    gold: dict[str, pa.Table]
    quarantine: list[tuple[str, int, str]]


def compute(
    deliveries: Sequence[Sequence[Path]], ingested_at: Mapping[str, dt.datetime] | None = None
) -> Oracle:
    """Silver, gold and quarantine after the deliveries, each a list of CSV and Parquet files.

    The files of a delivery are taken in the order of their names, and the same content once.

    Args:
        deliveries: Files by delivery.
        ingested_at: When each file was delivered (UTC), by its name; now for those left out.
    """
    with duckdb.connect(config={"threads": 2}) as connection:
        load(connection, deliveries, ingested_at)
        for step in (*STEPS["silver"], *STEPS["gold"]):
            connection.execute(step)
        tables = {name: connection.sql(f"from {name}").to_arrow_table() for name in KEYS}
        bad = connection.sql("select file, record, rule from judged where rule is not null")
        silver = ("transactions", "accounts")
        return Oracle(
            {name: tables[name] for name in silver},
            {name: table for name, table in tables.items() if name not in silver},
            sorted(bad.fetchall()),
        )


def load(
    connection: duckdb.DuckDBPyConnection,
    deliveries: Sequence[Sequence[Path]],
    ingested_at: Mapping[str, dt.datetime] | None = None,
) -> None:
    """Make the table `delivered`: every record as text, with its file, delivery, instant and number."""
    now = dt.datetime.now(dt.UTC)
    texts = ", ".join(f"{c} varchar" for c in COLUMNS)
    connection.execute(
        f"create table delivered ({texts}, file varchar, delivery int, ingested_at timestamp, record bigint)"
    )
    known: set[str] = set()
    for path in (p for files in deliveries for p in sorted(files, key=lambda p: p.name)):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest in known:
            continue
        known.add(digest)
        reader = (
            "read_parquet($path)" if path.suffix == ".parquet"
            else "read_csv($path, all_varchar = true, header = true, null_padding = true)"
        )  # fmt: skip
        columns = ", ".join(f"{c}::varchar as {c}" for c in COLUMNS)
        connection.execute(
            f"insert into delivered select {columns}, $file, $number, $at, row_number() over () "
            f"from {reader}",
            {
                "path": str(path),
                "file": path.name,
                "number": len(known),
                "at": (ingested_at or {})
                .get(path.name, now)
                .astimezone(dt.UTC)
                .replace(tzinfo=None),
            },
        )
