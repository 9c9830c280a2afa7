"""A small domain of every kind of table, as files; tests plant faults in them."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]

FILES = {
    "conf/domain/shop.yaml": """\
name: shop
roots:
  sql: ${package:sql}
  checks: ${package:checks}
as_of: select max(day) from silver.sales
bronze:
  sales:
    pattern: sales*.csv
    columns: [id, shop_id, sold_at, amount, note]
  shops:
    pattern: shops*.csv
    columns: [id, name, floor]
  places:
    pattern: places*.csv
    columns: [place, lat]
silver:
  shops:
    source: bronze.shops
    key: [id]
    columns:
      id: {}
      name: {}
      floor: {type: int}
  sales:
    source: bronze.sales
    key: [id]
    delete_when: note = 'deleted'
    references:
      shops: {table: silver.shops, by: {shop_id: id}}
    lookups:
      shops: {table: silver.shops, by: {shop_id: id}}
    columns:
      id: {}
      shop_id: {}
      sold_at: {type: timestamp}
      amount: {type: "decimal(18,2)"}
      note: {}
      day: {type: date, expr: to_date(sold_at)}
      shop_name: {lookup: shops.name, default: "'nobody'"}
    rules:
      negative:
        when: amount < 0
        column: amount
        says: is negative
      undated:
        when: sold_at is null
        column: sold_at
        says: is not an instant
  places:
    source: bronze.places
    key: [place]
    reduce: silver/places.sql
    samples:
      place: {}
      lat: {type: double}
    columns:
      place: {}
      lat: {type: double}
  shop_names:
    strategy: scd2
    key: [shop_id]
    inputs: [silver.sales]
    events: silver/shop_names.sql
    groups:
      silver.sales: shop_id
    sequence_by: [sold_at, id]
    track: [shop_name]
    columns:
      shop_id: {}
      shop_name: {}
  totals:
    key: [shop_id]
    inputs:
      - silver.sales
    sql: silver/totals.sql
    groups: {silver.sales: shop_id}
    fold: {worth: sum, items: sum}
    columns:
      shop_id: {}
      mean: {type: double, expr: cast(worth as double) / items}
      items: {type: bigint}
      worth: {type: "decimal(28,2)"}
gold:
  largest:
    key: [id]
    inputs:
      - silver.sales
    sql: gold/largest.sql
    group_by: [shop_id, day]
    groups: {silver.sales: "shop_id, day"}
    columns:
      id: {type: string, doc: "The sale."}
      shop_id: {type: string, doc: "Its shop."}
      day: {type: date, doc: "Its day."}
      amount: {type: "decimal(18,2)", doc: "Its amount."}
      weekday: {type: int, expr: dayofweek(day), doc: "Day of the week, from Sunday as 1."}
      cents: {type: bigint, expr: cast(amount * 100 as bigint), doc: "Its amount in cents."}
  daily:
    key: [day]
    inputs: [silver.sales]
    sql: gold/daily.sql
    groups:
      silver.sales: day
    columns:
      day: {type: date, doc: "Day of the sale."}
      sales: {type: bigint, doc: "Sales of the day."}
      amount: {type: "decimal(18,2)", doc: "Their sum."}
    volume:
      input: select count(*) from silver.sales
      output: coalesce(sum(sales), 0)
  ranked:
    key: [shop_id]
    inputs: [silver.sales, silver.shops]
    sql: gold/ranked.sql
    full: a rank over all shops
    columns:
      shop_id: {type: string, doc: "The shop."}
      place: {type: int, doc: "Rank by amount."}
""",
    "sql/silver/places.sql": """\
select
    place,
    avg(lat) as lat,
    max(_sequence) as _sequence,
    max(_batch_id) as _batch_id
from rows
group by place, _delivery
""",
    "sql/silver/shop_names.sql": """\
select
    shop_id,
    shop_name,
    sold_at,
    id
from silver.sales
""",
    "sql/silver/totals.sql": """\
select
    shop_id,
    count(*) as items,
    sum(amount) as worth
from silver.sales
where shop_id is not null
group by shop_id
""",
    "sql/gold/largest.sql": """\
select
    id,
    shop_id,
    day,
    max(amount) as amount
from silver.sales
group by all
""",
    "sql/gold/daily.sql": """\
select
    day,
    count(*) as sales,
    cast(sum(amount) as decimal(18, 2)) as amount
from silver.sales
group by day
""",
    "sql/gold/ranked.sql": """\
select
    shops.id as shop_id,
    dense_rank() over (order by sum(sales.amount) desc) as place
from silver.sales as sales
inner join silver.shops as shops
    on sales.shop_id = shops.id
group by shops.id
""",
    "checks/gold/daily.yml": """\
checks for staged:
  - missing_count(day) = 0:
      name: day is given
checks for result:
  - duplicate_count(day) = 0:
      name: day is unique
  - failed rows:
      name: amounts are not negative
      fail condition: amount < 0
  - failed rows:
      name: days are those of the sales
      fail query: |
        SELECT d.day
        FROM result AS d
        LEFT JOIN silver_sales AS s ON d.day = s.day
        WHERE s.day IS NULL
  - freshness(day, as_of):
      name: recent
      warn: when > 7d
  - values in (day) must exist in silver_sales (day):
      name: days exist
""",
}
"""Content by path, without the checks of the other tables."""
PLAIN = ("bronze/sales", "bronze/shops", "bronze/places", "silver/sales", "silver/shops",
         "silver/places", "silver/shop_names", "silver/totals", "gold/largest", "gold/ranked")  # fmt: skip


def write(folder: Path) -> Path:
    """Write the domain beside a copy of the platform's configuration; the folder of `conf`."""
    ignored = shutil.ignore_patterns("__pycache__", "domain")
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=ignored)
    check = "checks for staged:\n  - row_count > 0:\n      name: rows came\n"
    plain = {f"checks/{table}.yml": check for table in PLAIN}
    for name, text in (FILES | plain).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder / "conf"


def plant(folder: Path, file: str, old: str, new: str) -> None:
    """Replace a text that occurs once in one of the files."""
    path = folder / file
    text = path.read_text("utf-8")
    assert text.count(old) == 1, (file, old)
    path.write_text(text.replace(old, new), "utf-8")


def line_with(file: Path, text: str) -> int:
    """The number of the only line that holds a text."""
    lines = file.read_text("utf-8").splitlines()
    (found,) = [number for number, line in enumerate(lines, start=1) if text in line]
    return found
