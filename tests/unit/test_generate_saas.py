"""The saas generator: reproducible bytes, plausible lives, and a truth file that tells the truth."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.generate.generated import Generated
from tasks.generate.saas.generator import generate

FILES = ("saas_users", "saas_subscription_changes", "saas_events", "saas_invoices")
KEYS = {
    "users": "user_id",
    "subscriptions": "subscription_id",
    "events": "event_id",
    "invoices": "invoice_id",
}
STATUSES = {"trialing", "active", "past_due", "canceled"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def records(folder: Path, name: str) -> Iterator[dict[str, Any] | None]:
    """The records of a source's files in their order; None for a line that is none."""
    for path in sorted(folder.glob(f"{name}_*")):
        yield from file_records(path)


def file_records(path: Path) -> Iterator[dict[str, Any] | None]:
    with path.open(encoding="utf-8", newline="") as stream:
        if path.suffix == ".csv":
            yield from csv.DictReader(stream, strict=True)
            return
        for line in stream:
            try:
                yield json.loads(line)
            except ValueError:
                yield None


def sound(folder: Path, name: str) -> list[dict[str, Any]]:
    return [record for record in records(folder, name) if record is not None]


def image(event: dict[str, Any]) -> dict[str, Any]:
    """The row of a change event."""
    row: dict[str, Any] = event["before"] if event["op"] == "d" else event["after"]
    return row


def histories(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The change events of each subscription in the order of the log."""
    found = defaultdict(list)
    for event in sound(folder, "saas_subscription_changes"):
        found[image(event)["subscription_id"]].append(event)
    return {s: sorted(events, key=lambda e: e["source"]["lsn"]) for s, events in found.items()}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate(tmp_path_factory.mktemp("clean"), rows=2500, seed=3)


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory) -> Generated:
    return generate(tmp_path_factory.mktemp("flawed"), rows=2500, seed=3, defects=0.03)


def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 11), ("b", 11), ("c", 12)):
        generate(tmp_path / name, rows=200, seed=seed, defects=0.05, deliveries=3)
    a, b, c = (contents(tmp_path / name) for name in "abc")
    assert a == b
    assert len(a) == 3 * len(FILES) + 1
    assert [name for name in a if a[name] == c[name]] == []


def test_generating_again_leaves_no_file_of_before(tmp_path: Path) -> None:
    generate(tmp_path, rows=200, seed=1, deliveries=4)
    generate(tmp_path, rows=100, seed=2, deliveries=2)
    generate(tmp_path / "fresh", rows=100, seed=2, deliveries=2)
    fresh = contents(tmp_path / "fresh")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == fresh


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("rows", 49), ("seed", -1), ("defects", -0.01), ("defects", 0.51), ("months", 0),
        ("defects", float("nan")), ("deliveries", 0), ("deliveries", 100),
    ],
)  # fmt: skip
def test_a_parameter_out_of_range_is_named(tmp_path: Path, parameter: str, value: float) -> None:
    bad: dict[str, Any] = {parameter: value}
    with pytest.raises(ValueError, match=rf"^{parameter} must be .*, got {value}"):
        generate(tmp_path / "out", **bad)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("rows", "months", "deliveries"), [(50, 1, 1), (777, 36, 5), (900, 60, 2)])
def test_files_hold_what_was_asked_for(
    tmp_path: Path, rows: int, months: int, deliveries: int
) -> None:
    made = generate(tmp_path, rows=rows, months=months, deliveries=deliveries)
    assert len(sound(tmp_path, "saas_subscription_changes")) == rows
    for file in made.files:
        path = tmp_path / file.name
        assert file.rows == sum(1 for _ in file_records(path))
        assert file.bytes == path.stat().st_size
    truth = json.loads(made.truth.read_text("utf-8"))
    assert truth["rows"] == {file.name: file.rows for file in made.files}
    instants = [e["source"]["ts_us"] for e in sound(tmp_path, "saas_subscription_changes")]
    first = 1_640_995_200_000_000  # 2022-01-01
    assert first <= min(instants) < first + 31 * 86_400_000_000
    assert max(instants) < first + (months * 31) * 86_400_000_000


def test_changes_come_late_and_out_of_order_and_numbered_by_the_log(clean: Generated) -> None:
    events = sound(clean.truth.parent, "saas_subscription_changes")
    log = [(e["source"]["ts_us"], e["source"]["lsn"]) for e in events]
    assert log != sorted(log)
    assert [lsn for _, lsn in sorted(log)] == sorted(lsn for _, lsn in log)
    assert len({lsn for _, lsn in log}) == len(log)
    newest, latest = 0, 0
    for instant, _ in log:
        newest = max(newest, instant)
        latest = max(latest, newest - instant)
    assert latest > 20 * 86_400_000_000


def test_deliveries_cut_the_same_data_by_arrival(tmp_path: Path, clean: Generated) -> None:
    generate(tmp_path, rows=2500, seed=3, deliveries=6)
    for name in FILES:
        whole, cut = (
            sorted(map(json.dumps, sound(folder, name)))
            for folder in (clean.truth.parent, tmp_path)
        )
        assert whole == cut
    by_file = [
        sorted(e["source"]["ts_us"] for e in file_records(path) if e is not None)
        for path in sorted(tmp_path.glob("saas_subscription_changes_*"))
    ]
    middles = [instants[len(instants) // 2] for instants in by_file]
    assert middles == sorted(middles)
    assert any(early[-1] > late[0] for early, late in itertools.pairwise(by_file))


def test_lives_make_sense(clean: Generated) -> None:
    steps: Counter[tuple[str, str]] = Counter()
    for subscription, events in histories(clean.truth.parent).items():
        assert events[0]["op"] == "c", subscription
        before = None
        for event in events:
            row = image(event)
            assert row["status"] in STATUSES
            assert float(row["monthly_price"]) > 0
            assert row["ended_at"] is None or row["ended_at"] >= row["started_at"]
            assert (row["ended_at"] is not None) or row["status"] != "canceled"
            if before is not None:
                assert row["started_at"] == before["started_at"]
                steps[before["status"], row["status"]] += 1
            before = row
    assert steps["trialing", "active"] > steps["trialing", "canceled"] > 0
    assert steps["active", "past_due"] > steps["past_due", "canceled"] > 0
    assert steps["canceled", "active"] > 0
    assert not any(after == "trialing" for _, after in steps)


def test_every_edge_is_there(clean: Generated) -> None:
    histories_ = list(histories(clean.truth.parent).values())
    assert any(e["op"] == "d" for h in histories_ for e in h)
    assert any(a["op"] == "d" and b["op"] == "c" for h in histories_ for a, b in pairs(h))
    same = [h for h in histories_ if any(at(a) == at(b) for a, b in pairs(h))]
    assert same, "two changes at one instant"
    scheduled = [
        e for h in histories_ for e in h if image(e)["status"] == "active" and image(e)["ended_at"]
    ]
    assert any(str(image(e)["ended_at"]).endswith("T00:00:00.000000Z") for e in scheduled)
    prices = [(money(a), money(b)) for h in histories_ for a, b in pairs(h)]
    assert any(a < b for a, b in prices)
    assert any(a > b for a, b in prices)
    users = Counter(image(h[0])["user_id"] for h in histories_)
    assert max(users.values()) > 1


def pairs(history: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return list(itertools.pairwise(history))


def at(event: dict[str, Any]) -> int:
    found: int = event["source"]["ts_us"]
    return found


def money(event: dict[str, Any]) -> float:
    return float(image(event)["monthly_price"])


def test_instants_are_as_debezium_writes_a_timestamptz(clean: Generated) -> None:
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
    for event in sound(clean.truth.parent, "saas_subscription_changes"):
        for name in ("started_at", "ended_at", "updated_at"):
            assert image(event)[name] is None or form.fullmatch(image(event)[name]), (name, event)


def test_starts_grow_and_follow_the_seasons(clean: Generated) -> None:
    starts = Counter(image(h[0])["started_at"][:7] for h in histories(clean.truth.parent).values())
    assert len(starts) == 36
    assert sum(n for m, n in starts.items() if m >= "2024") > 1.4 * sum(
        n for m, n in starts.items() if m < "2023"
    )
    season = Counter[str]()
    for month, count in starts.items():
        season[month[5:]] += count
    assert season["01"] > season["12"]
    assert season["09"] > season["08"]


def test_files_hold_together(clean: Generated) -> None:
    folder = clean.truth.parent
    users = {record["user_id"] for record in sound(folder, "saas_users")}
    subscriptions = {s: image(h[0]) for s, h in histories(folder).items()}
    assert {row["user_id"] for row in subscriptions.values()} == users
    assert {event["user_id"] for event in sound(folder, "saas_events")} <= users
    states: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for invoice in sound(folder, "saas_invoices"):
        started_at = datetime.fromisoformat(
            subscriptions[invoice["subscription_id"]]["started_at"].removesuffix("Z")
        )
        assert datetime.fromisoformat(invoice["issued_at"]) >= started_at
        assert (invoice["status"] == "paid") == bool(invoice["paid_at"])
        states[invoice["invoice_id"]].append(invoice)
    ends = Counter(max(s, key=lambda i: i["updated_at"])["status"] for s in states.values())
    assert ends["paid"] > 0.8 * len(states)
    assert ends["open"] > 0
    assert ends["void"] > 0


def test_without_defects_nothing_is_planted(clean: Generated) -> None:
    truth = json.loads(clean.truth.read_text("utf-8"))
    assert truth["defects"] == []
    assert set(truth["quarantine"]) == {
        "users", "subscriptions", "subscriptions_history", "events", "invoices"
    }  # fmt: skip
    assert not any(truth["quarantine"].values())
    assert all(record is not None for name in FILES for record in records(clean.truth.parent, name))


def test_planted_records_are_where_the_truth_file_says(flawed: Generated) -> None:
    truth = json.loads(flawed.truth.read_text("utf-8"))
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    rules: dict[str, set[str]] = defaultdict(set)
    content = {f.name: list(file_records(flawed.truth.parent / f.name)) for f in flawed.files}
    for defect in truth["defects"]:
        kinds[defect["table"]][defect["kind"]] += 1
        if defect["rule"]:
            rules[defect["table"]].add(defect["rule"])
        record = content[defect["file"]][defect["record"] - 1]
        if defect["rule"] == "malformed_record":
            assert record is None
            continue
        assert record is not None
        row = image(record) if "op" in record else record
        assert (row[KEYS[defect["table"]]] or "") == defect["key"]
    for table, file in zip(
        KEYS, ("users", "subscription_changes", "events", "invoices"), strict=True
    ):
        rows = truth["rows"][
            f"saas_{file}_01.{'csv' if file in ('users', 'invoices') else 'jsonl'}"
        ]
        base = rows - sum(kinds[table].values())
        for kind, count in kinds[table].items():
            assert count == pytest.approx(0.03 * base, rel=0.1, abs=2), (table, kind)
    assert kinds["invoices"].keys() == {"rule", "duplicate", "correction", "orphan"}
    assert rules["subscriptions"] == {
        "key_missing", "not_parseable", "sequence_missing", "required_missing", "unknown_status",
        "negative_price", "ends_before_start", "in_the_future", "malformed_record",
    }  # fmt: skip


def test_defects_leave_the_sound_records_as_they_are(clean: Generated, flawed: Generated) -> None:
    truth = json.loads(flawed.truth.read_text("utf-8"))
    planted = {(d["file"], d["record"]) for d in truth["defects"]}
    for file in clean.files:
        with_defects = enumerate(file_records(flawed.truth.parent / file.name), start=1)
        kept = [record for number, record in with_defects if (file.name, number) not in planted]
        assert kept == list(file_records(clean.truth.parent / file.name)), file.name
