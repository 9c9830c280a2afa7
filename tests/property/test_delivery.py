"""Delivery plans lose no record, and what bronze takes in is counted as bronze counts it."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property import accounting
from tests.property.delivery import File, in_one_batch, plan_delivery, taken_in, write
from tests.property.events import COLUMNS, Record, event_logs, make_log
from tests.property.model import TABLES
from tests.property.settings import SETTINGS


@SETTINGS
@given(log=event_logs(), random=st.randoms(use_true_random=False))
def test_each_record_is_taken_in(log: list[Record], random: Random) -> None:
    runs = taken_in(plan_delivery(random, log, batches=4))

    assert {d.record for run in runs for d in run} == set(log)


@SETTINGS
@given(log=event_logs(), random=st.randoms(use_true_random=False))
def test_rows_are_conserved_and_each_state_published(log: list[Record], random: Random) -> None:
    runs = taken_in(plan_delivery(random, log, batches=4))
    once = taken_in(in_one_batch(log))

    for name in TABLES:
        for count in accounting.counts(name, runs):
            assert min(count.published, count.deduplicated, count.quarantined) >= 0
        total = accounting.counts(name, once)[0].published
        assert sum(c.published for c in accounting.counts(name, runs)) >= total


@pytest.mark.parametrize("seed", range(3))
def test_a_large_plan_has_every_kind_of_delivery(seed: int) -> None:
    random = Random(seed)
    log = make_log(random, events=320, keys=40)

    plan = plan_delivery(random, log, batches=8)

    files = [file for batch in plan for file in batch]
    contents = Counter(file.content for file in files)
    rows = Counter(frozenset(Counter(file.records).items()) for file in files)
    assert len(plan) == 8
    assert max(contents.values()) > 1, "no file came again byte for byte"
    assert len(contents) > len(rows), "no file came again in another order"
    assert sum(len(run) for run in taken_in(plan)) > len(log)


def test_known_content_is_taken_in_once() -> None:
    record = Record("a", "2024-01-01 00:00:00", "1", "u", None, None, None, None)
    first, same = File("events_1.csv", (record,)), File("events_2.csv", (record,))

    runs = taken_in([(first,), (same,), ()])

    assert [[(d.file, d.number) for d in run] for run in runs] == [[("events_1.csv", 1)], [], []]


def test_a_written_file_has_the_columns_of_the_source(tmp_path: Path) -> None:
    record = Record("a", "2024-01-01 00:00:00", "1", "u", None, None, None, 'two\n"lines", quoted')

    write((File("events_1.csv", (record,)),), tmp_path)

    with (tmp_path / "events_1.csv").open(encoding="utf-8", newline="") as stream:
        header, row = csv.reader(stream)
    assert tuple(header) == COLUMNS
    assert tuple(value or None for value in row) == record


def test_counts_of_a_run_by_hand() -> None:
    def event(version: int, plan: str | None) -> Record:
        return Record("a", "2024-01-01 00:00:00", str(version), "u", plan, None, None, None)

    first = File("events_1.csv", (event(2, "pro"), event(1, "pro"), event(2, "pro")))
    later = File("events_2.csv", (event(1, "free"), event(3, None)))
    runs = taken_in([(first,), (later,)])

    assert accounting.counts("accounts_soft", runs) == [
        accounting.Counts(ingested=3, published=1, deduplicated=2, quarantined=0),
        accounting.Counts(ingested=2, published=1, deduplicated=1, quarantined=0),
    ]
    assert accounting.counts("accounts_hard", runs)[1] == (
        accounting.Counts(ingested=2, published=0, deduplicated=1, quarantined=1)
    )
    assert accounting.counts("account_events", runs)[0].published == 2
    assert accounting.counts("accounts_history", runs, accounting.all_events) == [
        accounting.Counts(ingested=3, published=2, deduplicated=1, quarantined=0),
        accounting.Counts(ingested=2, published=2, deduplicated=0, quarantined=0),
    ]
    assert accounting.quarantined("accounts_hard", runs[1]) == [
        ("events_2.csv", 2, "required_missing")
    ]
