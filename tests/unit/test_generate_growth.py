"""The growth generator: reproducible bytes, plausible data, and a truth file that tells the truth."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.generate.generated import Generated
from tasks.generate.growth.experiments import EXPERIMENTS
from tasks.generate.growth.generator import generate
from tasks.generate.growth.period import FIRST_DAY, LAST_DAY
from tasks.generate.growth.visits import CHANNELS

HEADERS = {
    "visits": "visit_id,visitor_id,channel,campaign,cost,visited_at",
    "signups": "user_id,visitor_id,signed_up_at,country",
    "product_events": "event_id,user_id,event_type,event_ts",
    "experiments": "assignment_id,experiment,variant,user_id,assigned_at",
    "billing": "invoice_id,user_id,amount,status,issued_at,paid_at,updated_at",
    "support_tickets": (
        "ticket_id,user_id,priority,opened_at,first_response_at,resolved_at,csat,updated_at"
    ),
}
REQUIRED = {
    "visits": {"visitor_id", "visited_at"},
    "signups": {"signed_up_at"},
    "product_events": {"user_id", "event_ts"},
    "experiments": {"experiment", "variant", "user_id", "assigned_at"},
    "billing": {"user_id", "amount", "status", "issued_at"},
    "support_tickets": {"user_id", "opened_at"},
}
RULES = {
    "visits": {"negative_amount"},
    "billing": {"sequence_missing", "unknown_status", "negative_amount", "paid_without_date"},
    "support_tickets": {"sequence_missing", "csat_out_of_range", "resolved_before_opened"},
}

Record = dict[str, str]


def file_of(table: str) -> str:
    return f"growth_{table}.csv"


class Delivery:
    """A generated folder, read back by the standard library."""

    def __init__(self, made: Generated) -> None:
        self.made = made
        self.folder = made.truth.parent
        self.truth: dict[str, Any] = json.loads(made.truth.read_text(encoding="utf-8"))
        self.tables: dict[str, list[Record]] = {}
        for table in HEADERS:
            with (self.folder / file_of(table)).open(encoding="utf-8", newline="") as stream:
                self.tables[table] = list(csv.DictReader(stream, strict=True))

    def defects(self, *kinds: str) -> list[dict[str, Any]]:
        return [defect for defect in self.truth["defects"] if defect["kind"] in kinds]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    return Delivery(generate(tmp_path_factory.mktemp("clean"), rows=20_000, seed=3))


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory) -> Delivery:
    to = tmp_path_factory.mktemp("flawed")
    return Delivery(generate(to, rows=20_000, seed=3, defects=0.04))


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")


def parses(column: str, text: str) -> bool:
    try:
        if column in {"cost", "amount"}:
            float(text)
        elif column == "csat":
            int(text)
        elif column.endswith(("_at", "_ts")):
            instant(text)
    except ValueError:
        return False
    return True


def broken_rules(table: str, record: Record) -> Iterator[str]:
    """The row rules that a record breaks, by a second implementation of the domain's."""
    if record[HEADERS[table].partition(",")[0]] == "":
        yield "key_missing"
    good = {column: text for column, text in record.items() if text and parses(column, text)}
    if any(text and column not in good for column, text in record.items()):
        yield "not_parseable"
    if record.get("updated_at") == "":
        yield "sequence_missing"
    if any(record[column] == "" for column in REQUIRED[table]):
        yield "required_missing"
    yield from implausible(record, good)


def implausible(record: Record, good: Record) -> Iterator[str]:
    """The rules on what a record says that a record breaks, given its columns that parse."""
    if any(float(good[column]) < 0 for column in ("cost", "amount") if column in good):
        yield "negative_amount"
    if good.get("status", "open") not in {"open", "paid", "refunded", "overdue"}:
        yield "unknown_status"
    if any(text >= "2100" for column, text in good.items() if column.endswith(("_at", "_ts"))):
        yield "in_the_future"
    if good.get("status") == "paid" and record["paid_at"] == "":
        yield "paid_without_date"
    if "csat" in good and not 1 <= int(good["csat"]) <= 5:
        yield "csat_out_of_range"
    if {"resolved_at", "opened_at"} <= good.keys() and good["resolved_at"] < good["opened_at"]:
        yield "resolved_before_opened"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 11), ("b", 11), ("c", 12)):
        generate(tmp_path / name, rows=500, seed=seed, defects=0.05)
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert sorted(a) == sorted([*map(file_of, HEADERS), "growth_truth.json"])
    assert [name for name in a if a[name] == c[name]] == []


@pytest.mark.parametrize("rows", [100, 777, 20_000])
def test_rows_are_the_visits_and_files_are_told_as_they_are(tmp_path: Path, rows: int) -> None:
    made = generate(tmp_path, rows=rows, seed=5)
    delivery = Delivery(made)
    assert len(delivery.tables["visits"]) == rows
    assert all(delivery.tables.values())
    assert {f.name: f.rows for f in made.files} == {
        file_of(table): len(records) for table, records in delivery.tables.items()
    }
    assert delivery.truth["rows"] == {file.name: file.rows for file in made.files}
    assert [f.bytes for f in made.files] == [(tmp_path / f.name).stat().st_size for f in made.files]
    for table, header in HEADERS.items():
        with (tmp_path / file_of(table)).open(encoding="utf-8") as stream:
            assert stream.readline() == header + "\n"


@pytest.mark.parametrize(
    ("parameter", "value"), [("rows", 99), ("seed", -1), ("defects", 0.51), ("defects", -0.1)]
)
def test_a_parameter_out_of_range_is_named(tmp_path: Path, parameter: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{parameter} must be .*, got {value}"):
        generate(tmp_path, **{"rows": 100, parameter: value})  # type: ignore[arg-type]


def test_keys_are_unique_and_references_hold(clean: Delivery) -> None:
    for table, records in clean.tables.items():
        key = HEADERS[table].partition(",")[0]
        assert len({record[key] for record in records}) == len(records)
    users = {record["user_id"] for record in clean.tables["signups"]}
    for table in ("product_events", "experiments", "billing", "support_tickets"):
        assert {record["user_id"] for record in clean.tables[table]} <= users
    visitors = {record["visitor_id"] for record in clean.tables["visits"]}
    unseen = [r for r in clean.tables["signups"] if r["visitor_id"] not in visitors]
    assert 0 < len(unseen) < 0.06 * len(users)


def test_nothing_happens_outside_the_two_years(clean: Delivery) -> None:
    for records in clean.tables.values():
        for record in records:
            for column, text in record.items():
                if column.endswith(("_at", "_ts")) and text:
                    assert FIRST_DAY <= instant(text).date() <= LAST_DAY


def test_the_year_and_the_week_have_their_seasons(clean: Delivery) -> None:
    days = [instant(r["visited_at"]).date() for r in clean.tables["visits"]]
    weekdays = Counter(day.weekday() for day in days)
    assert weekdays[5] < 0.75 * weekdays[1]
    months = Counter((day.year, day.month) for day in days)
    assert months[2024, 11] > 1.25 * months[2024, 5]
    assert months[2024, 10] > 1.2 * months[2023, 10]
    hours = Counter(instant(r["visited_at"]).hour for r in clean.tables["visits"])
    assert hours[10] > 5 * hours[4]
    work = Counter(instant(r["event_ts"]).weekday() for r in clean.tables["product_events"])
    assert work[6] < 0.6 * work[2]


def test_channels_differ_in_cost_and_conversion(clean: Delivery) -> None:
    visits = clean.tables["visits"]
    cost: dict[str, list[float]] = defaultdict(list)
    first: dict[str, str] = {}
    for visit in visits:  # by time
        cost[visit["channel"]].append(float(visit["cost"]))
        first.setdefault(visit["visitor_id"], visit["channel"])
    assert cost.keys() - {""} == {channel.name for channel in CHANNELS}
    assert {name for name in cost if name and not any(cost[name])} == {
        "organic_search", "direct", "referral"
    }  # fmt: skip
    mean = {name: sum(values) / len(values) for name, values in cost.items()}
    assert mean["paid_search"] > 1.5 * mean["paid_social"] > mean["display"] > mean["email"]
    visitors = Counter(first.values())
    signed = Counter(first.get(r["visitor_id"], "") for r in clean.tables["signups"])
    rate = {name: signed[name] / visitors[name] for name in visitors}
    assert rate["email"] > 1.5 * rate["paid_social"] > rate["display"]


def test_invoices_and_tickets_are_in_the_state_of_the_last_day(clean: Delivery) -> None:
    status = Counter(record["status"] for record in clean.tables["billing"])
    assert status.keys() == {"open", "paid", "refunded", "overdue"}
    assert 0.85 < status["paid"] / status.total() < 0.97
    for record in clean.tables["billing"]:
        assert (record["paid_at"] == "") == (record["status"] in {"open", "overdue"})
        known = {record["issued_at"], record["paid_at"]} - {""}
        assert max(known) <= record["updated_at"]
    for record in clean.tables["support_tickets"]:
        assert record["csat"] == "" or record["resolved_at"]
        steps = [record[c] for c in ("opened_at", "first_response_at", "resolved_at") if record[c]]
        assert steps == sorted(steps)
        assert record["updated_at"] == steps[-1]


def test_experiments_have_the_true_uplift_that_the_truth_file_tells(tmp_path: Path) -> None:
    delivery = Delivery(generate(tmp_path, rows=150_000, seed=1))
    assert delivery.truth["parameters"]["uplift"] == {e.name: e.uplift for e in EXPERIMENTS}
    first: dict[tuple[str, str], Record] = {}
    for record in delivery.tables["experiments"]:  # by time
        first.setdefault((record["experiment"], record["user_id"]), record)
    assert 0.005 < 1 - len(first) / len(delivery.tables["experiments"]) < 0.04
    paid: dict[str, list[datetime]] = defaultdict(list)
    for invoice in delivery.tables["billing"]:
        if invoice["status"] == "paid":
            paid[invoice["user_id"]].append(instant(invoice["paid_at"]))
    users: Counter[tuple[str, str]] = Counter()
    converted: Counter[tuple[str, str]] = Counter()
    for (experiment, user), record in first.items():
        at = instant(record["assigned_at"])
        users[experiment, record["variant"]] += 1
        converted[experiment, record["variant"]] += any(
            at <= payment <= at + timedelta(days=30) for payment in paid[user]
        )
    rate = {variant: converted[variant] / users[variant] for variant in users}
    for made in EXPERIMENTS:
        control = rate[made.name, "control"]
        assert 0.1 < control < 0.25
        for variant, uplift in made.uplift.items():
            # three standard errors of a rate over a few thousand users
            found = rate[made.name, variant] / control - 1
            assert found == pytest.approx(uplift, abs=0.3), (made.name, variant)
    assert rate["annual_discount", "discount_20"] > 1.3 * rate["annual_discount", "control"]


@pytest.mark.parametrize(
    ("rows", "seed", "rate"), [(100, 1, 0.001), (100, 2, 0.5), (2000, 3, 0.01), (20_000, 5, 0.3)]
)
def test_quarantine_equals_a_second_implementation_of_the_rules(
    tmp_path: Path, rows: int, seed: int, rate: float
) -> None:
    delivery = Delivery(generate(tmp_path, rows=rows, seed=seed, defects=rate))
    for table, records in delivery.tables.items():
        held = []
        for number, record in enumerate(records, start=1):
            rules = list(broken_rules(table, record))
            assert len(rules) <= 1, (table, number, rules)
            held += [(number, rule) for rule in rules]
        told = [(e["record"], e["rule"]) for e in delivery.truth["quarantine"][table]]
        assert told == held, table


def test_every_kind_and_rule_is_planted_at_about_the_rate(
    clean: Delivery, flawed: Delivery
) -> None:
    count = Counter((d["table"], d["kind"]) for d in flawed.truth["defects"])
    for table, records in clean.tables.items():
        for kind in ("rule", "duplicate", "correction"):
            share = pytest.approx(len(records) * 0.04, abs=2)
            assert count[table, kind] == share, (table, kind)
    for table in HEADERS:
        planted = {d["rule"] for d in flawed.defects("rule") if d["table"] == table}
        usual = {"key_missing", "not_parseable", "required_missing", "in_the_future"}
        assert planted == usual | RULES.get(table, set())


def test_every_planted_record_is_in_its_file_as_described(flawed: Delivery) -> None:
    for defect in flawed.truth["defects"]:
        records = flawed.tables[defect["table"]]
        record = records[defect["record"] - 1]
        if defect["column"] is not None:
            assert record[defect["column"]] == defect["value"]
        if defect["kind"] == "duplicate":
            assert record == records[defect["follows"] - 1]
        if defect["kind"] == "correction":
            before = records[defect["follows"] - 1]
            assert {c for c in before if before[c] != record[c]} == {defect["column"]}


def test_defects_leave_the_sound_data_as_it_is(clean: Delivery, flawed: Delivery) -> None:
    for table, records in clean.tables.items():
        defects = [d for d in flawed.truth["defects"] if d["table"] == table]
        added = {d["record"] for d in defects if d["follows"] is not None}
        broken = {d["record"] for d in defects} - added
        kept = [(n, r) for n, r in enumerate(flawed.tables[table], start=1) if n not in added]
        assert len(kept) == len(records)
        for (number, record), original in zip(kept, records, strict=True):
            assert (record == original) is (number not in broken)


def test_a_small_file_covers_the_whole_period(tmp_path: Path) -> None:
    delivery = Delivery(generate(tmp_path, rows=2000, seed=9))
    days = [date.fromisoformat(r["visited_at"][:10]) for r in delivery.tables["visits"]]
    assert min(days) - FIRST_DAY < timedelta(days=14)
    assert LAST_DAY - max(days) < timedelta(days=7)
