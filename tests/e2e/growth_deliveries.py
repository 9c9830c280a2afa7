"""A scenario of deliveries of the growth domain: what a lake meets in its first days.

The generator tells the state at the end of the period. Here it is told as it came: a first load with all
that was known on the evening of `LOADED`, then a file a source and day. An invoice or ticket that changed
later is first delivered as it was when it began.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

LOADED = "2024-12-29"
DAYS = ("2024-12-30", "2024-12-31")
INSTANTS = {
    "visits": "visited_at",
    "signups": "signed_up_at",
    "product_events": "event_ts",
    "experiments": "assigned_at",
    "billing": "updated_at",
    "support_tickets": "updated_at",
}
"""The column that says on which day a record is delivered."""
_BEGINS = {
    "billing": ("issued_at", {"status": "open", "paid_at": ""}),
    "support_tickets": (
        "opened_at",
        {"first_response_at": "", "resolved_at": "", "csat": ""},
    ),
}
"""Where a record begins, and what it does not yet have then."""

NEW_COLUMN = {"device": "phone"}
"""What visits have from the last of `DAYS` on, and their source never had before."""

Record = dict[str, str]


def read(path: Path) -> list[Record]:
    """The records of a file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def write(folder: Path, source: str, name: str, records: Iterable[Record]) -> Path:
    """Write a delivery of a source; the columns are those of its first record."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"growth_{source}_{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        header: list[str] = []
        for record in records:
            if not header:
                header = list(record)
                writer.writerow(header)
            writer.writerow(record[column] for column in header)
    return path


def by_day(generated: Path, to: Path) -> dict[str, list[Path]]:
    """Write the generated files as a first load and a delivery for each day in `DAYS`."""
    told: dict[str, list[Path]] = {day: [] for day in (LOADED, *DAYS)}
    for source in INSTANTS:
        parts: dict[str, list[Record]] = {day: [] for day in told}
        for record in read(generated / f"growth_{source}.csv"):
            for day, version in _versions(source, record):
                parts[day].append(version)
        if source == "visits":
            parts[DAYS[-1]] = [record | NEW_COLUMN for record in parts[DAYS[-1]]]
        for day, records in parts.items():
            if records:
                told[day].append(write(to / day, source, day, records))
    return told


def _versions(source: str, record: Record) -> Iterable[tuple[str, Record]]:
    day = _day(record[INSTANTS[source]])
    if source in _BEGINS:
        column, unknown = _BEGINS[source]
        if _day(record[column]) < day:
            yield _day(record[column]), record | unknown | {INSTANTS[source]: record[column]}
    yield day, record


def _day(instant: str) -> str:
    """The day of delivery; what has no readable instant, broken as it is, came with the first load."""
    return instant[:10] if instant[:10] in DAYS else LOADED


def late_corrections(generated: Path, to: Path) -> list[Path]:
    """Records that change what is already published, some of them older than what is there.

    A visitor's first visit turns out to be an earlier one of another channel; a visitor opens a second
    account and pays; an invoice is refunded; a stale version of another invoice arrives; the first
    assignment of a user turns out to be to another variant; a ticket is opened again.
    """
    sound = {source: list(_sound(generated, source)) for source in INSTANTS}
    visits = {visit["visitor_id"]: visit for visit in sound["visits"]}
    signup = next(r for r in sound["signups"] if r["visitor_id"] in visits)
    visit = visits[signup["visitor_id"]]
    invoices = [r for r in sound["billing"] if r["status"] == "paid"]
    assigned = next(
        r
        for r in sound["experiments"]
        if (r["experiment"], r["variant"]) == ("pricing_page", "control")
    )
    ticket = next(r for r in sound["support_tickets"] if r["csat"])
    second = {"user_id": "second-account", "signed_up_at": "2024-12-01 10:00:00"}
    new: Mapping[str, list[Record]] = {
        "visits": [
            visit
            | {"visit_id": "late-visit", "channel": "referral", "visited_at": "2023-01-01 00:00:01"}
            | NEW_COLUMN
        ],
        "signups": [signup | second],
        "billing": [
            invoices[0] | {"status": "refunded", "updated_at": "2024-12-31 12:00:00"},
            invoices[1] | {"status": "open", "paid_at": "", "updated_at": "2023-01-01 00:00:00"},
            invoices[2]
            | {"invoice_id": "second-invoice", "user_id": "second-account"}
            | {"issued_at": "2024-12-02 10:00:00", "paid_at": "2024-12-31 10:00:00"}
            | {"updated_at": "2024-12-31 10:00:00"},
        ],
        "experiments": [
            assigned
            | {"assignment_id": "late-assignment", "variant": "simple"}
            | {"assigned_at": "2023-01-01 00:00:02"}
        ],
        "support_tickets": [
            ticket | {"resolved_at": "", "csat": "", "updated_at": "2024-12-31 11:00:00"}
        ],
    }
    return [write(to, source, "late", records) for source, records in new.items()]


def _sound(generated: Path, source: str) -> Iterable[Record]:
    """The records of a generated file that no defect was planted in, as they are to be repeated."""
    truth = json.loads((generated / "growth_truth.json").read_text(encoding="utf-8"))
    touched = {d["record"] for d in truth["defects"] if d["table"] == source}
    touched |= {d["follows"] for d in truth["defects"] if d["table"] == source}
    for number, record in enumerate(read(generated / f"growth_{source}.csv"), start=1):
        if number not in touched:
            yield record


def bad_day(generated: Path, to: Path) -> tuple[list[Path], Path]:
    """A day on which billing sends negative amounts: the delivery, and billing's file as fixed."""
    visit = next(iter(_sound(generated, "visits")))
    invoice = next(r for r in _sound(generated, "billing") if r["status"] == "paid")
    issued = {"issued_at": "2025-01-01 08:00:00", "paid_at": "2025-01-01 09:00:00"}
    invoices = [
        invoice
        | issued
        | {"invoice_id": f"new-year-{n}", "amount": "19.0", "updated_at": "2025-01-01 09:00:00"}
        for n in range(30)
    ]
    new_year = {"visit_id": "new-year", "visited_at": "2025-01-01 07:00:00"}
    good = write(to, "visits", "bad", [visit | new_year | NEW_COLUMN])
    broken = write(to, "billing", "bad", [r | {"amount": "-19.0"} for r in invoices])
    return [good, broken], write(to, "billing", "fixed", invoices)
