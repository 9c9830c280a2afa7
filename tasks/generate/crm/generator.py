"""Generator of the crm domain: contacts, deals, customers, orders, behaviour, events and exchange rates.

The same parameters give the same bytes. A delivery holds what a poll of each source finds at its end: of an
object that changed several times since the poll before, the newest state. Refunds come up to three days
late, customers after their first orders, events twice; one day has no exchange rate, another has it late.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from storage.disk import write_text
from tasks.generate.crm import people as crm_people
from tasks.generate.crm import sales as crm_sales
from tasks.generate.crm.records import (
    COLUMNS,
    DAY,
    FILES,
    KEYS,
    LOGS,
    SEQUENCE,
    Arrival,
    Record,
    Streams,
)
from tasks.generate.csv_writing import replacing
from tasks.generate.generated import (
    MAX_DELIVERIES,
    Generated,
    GeneratedFile,
    require,
    require_count,
)

MIN_ROWS = 20
MAX_DAYS = 1_000
TRUTH = "crm_truth.json"

Planted = tuple[str, str, Record]
"""Table, broken rule, and what a planted record has of its own."""
_PLANTED: tuple[Planted, ...] = (
    ("orders", "negative_amount", {"amount": "-5.00"}),
    ("orders", "refund_out_of_range", {"refunded_amount": "99999.00"}),
    ("deals", "unknown_stage", {"dealstage": "renamed"}),
    ("events", "required_missing", {"customer_id": None}),
    ("behavior", "required_missing", {"action": None}),
    ("fx_rates", "rate_not_positive", {"currency": "CHF", "usd_rate": "0"}),
    ("fx_rates", "dollar_is_a_dollar", {"currency": "USD", "usd_rate": "1.01"}),
)


def generate(
    to: Path,
    *,
    rows: int = 2_000,
    seed: int = 7,
    defects: float = 0.0,
    days: int = 60,
    deliveries: int = 1,
) -> Generated:
    """Write the files of all deliveries and the truth file into the folder `to`.

    Files of these names are replaced, each whole or not at all; files of deliveries that there are no more
    are removed. Everything is held in memory until it is written: some kilobytes an order.

    Args:
        to: Folder, made if it is missing.
        rows: Orders; the other files grow with them.
        seed: Seed of every random choice, 0 or more.
        defects: Share of each file's records that are planted beside them and break a row rule; 0 to 0.5.
        days: Length of the history in days from 2026-01-01; 1 to 1000.
        deliveries: Files a source: the history is cut into spans of equal length, and a record is delivered
            in the span in which it arrives; 1 to 99.

    Raises:
        ValueError: A parameter is out of its range.
    """
    require(rows, seed, defects, fewest=MIN_ROWS)
    require_count("days", days, MAX_DAYS)
    require_count("deliveries", deliveries, MAX_DELIVERIES)
    to.mkdir(parents=True, exist_ok=True)
    for old in to.glob("crm_*_[0-9][0-9].*"):
        old.unlink()
    streams = Streams(seed, days * DAY)
    people = list(crm_people.people(streams, max(5, rows // 4)))
    arrivals = [*crm_people.arrivals(streams, people), *crm_sales.arrivals(streams, people, rows)]
    files, planted = [], []
    for number, table in ((n, t) for n in range(1, deliveries + 1) for t in FILES):
        found = list(_polled(table, number, deliveries, days, arrivals))
        name = FILES[table].format(number)
        found, bad = _with_defects(table, number, found, defects)
        planted += bad
        with replacing(to / name) as draft:
            draft.write(_text(table, found))
        files.append(GeneratedFile(name, len(found), (to / name).stat().st_size))
    parameters = {
        "rows": rows, "seed": seed, "defects": defects, "days": days, "deliveries": deliveries
    }  # fmt: skip
    says = {"domain": "crm", "seed": seed, "parameters": parameters, "defects": planted}
    write_text(to / TRUTH, json.dumps(says, indent=1) + "\n")
    return Generated(tuple(files), to / TRUTH)


def _polled(
    table: str, number: int, deliveries: int, days: int, arrivals: list[Arrival]
) -> Iterator[Record]:
    """What a poll at the end of a delivery's span finds that the polls before did not, by arrival."""
    span = days * DAY / deliveries
    newest: dict[str, Arrival] = {}
    came = sorted(
        (
            a
            for a in arrivals
            if a.table == table and min(deliveries, 1 + int(a.at / span)) == number
        ),
        key=lambda a: a.at,
    )
    if table in LOGS:
        return (a.record for a in came)
    for a in came:
        key = str(a.record[KEYS[table]])
        before = newest.pop(key, a)
        newest[key] = max(before, a, key=lambda one: str(one.record[SEQUENCE[table]]))
    return (a.record for a in newest.values())


def _with_defects(
    table: str, number: int, found: list[Record], share: float
) -> tuple[list[Record], list[dict[str, object]]]:
    """The records with planted ones behind them, which have keys of their own, and where those are."""
    kinds = [(rule, own) for of, rule, own in _PLANTED if of == table]
    if not (found and kinds):
        return found, []
    planted = []
    for place in range(round(share * len(found))):
        rule, own = kinds[place % len(kinds)]
        own = own if table == "fx_rates" else {KEYS[table]: f"9{number:02}{place:05}", **own}
        found.append({**found[place], **own})
        planted.append(
            {
                "table": table,
                "file": FILES[table].format(number),
                "record": len(found),
                "rule": rule,
            }
        )
    return found, planted


def _text(table: str, records: list[Record]) -> str:
    if FILES[table].endswith(".jsonl"):
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS[table])
    writer.writerows([record[c] or "" for c in COLUMNS[table]] for record in records)
    return text.getvalue()
