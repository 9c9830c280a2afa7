"""Facts in commit records, as this version and earlier ones wrote them."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from storage.types import CommitRecord, TableRef, Version
from tasks.context import Attempt
from tasks.notes import BackfillPart, Batch, ColumnsDiffer, Notes, ReleaseRequest
from tasks.rows.partitions import Partition

JANUARY = BackfillPart("ab-1", Partition("month", dt.date(2024, 1, 1), dt.date(2024, 2, 1)))
PART = {"id": "ab-1", "unit": "month", "start": "2024-01-01", "end": "2024-02-01"}
DIFFERS = {
    "batch_id": "sale-ab", "mode": "evolve", "change": "brings rating",
    "before": {"id": "string"}, "after": {"id": "string", "rating": "string"},
}  # fmt: skip
ALL = Notes(
    batches=("orders-ab",), replaces=True, score=0.9876, waived=("few rows",),
    itself=Batch("daily-fe", accepted=True), keeps_changes=False, rejected=(), releases=0,
    accounts={"orders-ab": {"ingested": 2, "published": 2}}, rebuilt=False, snapshot="",
    null_keys=True, backfill=JANUARY, start="c0ffee", delivered={"id": "string"},
    drift=(ColumnsDiffer(**DIFFERS),),  # type: ignore[arg-type]
    added=("rating",), deliveries=3, recalled={"orders-ab": 1},
    request=ReleaseRequest("r1", "silver.orders", "waive"), others={"offsets": {"next": [3]}},
)  # fmt: skip
STORED = {
    "batches": ["orders-ab"], "replace": True, "score": 0.9876, "waived": ["few rows"],
    "batch_id": "daily-fe", "accepted": True, "changes": False, "rejected": [], "releases": 0,
    "accounts": {"orders-ab": {"ingested": 2, "published": 2}}, "rebuilt": False, "snapshot": "",
    "null_keys": True, "backfill": PART, "position": "c0ffee", "delivered": {"id": "string"},
    "drift": [DIFFERS], "evolve": ["rating"], "deliveries": 3, "recalled": {"orders-ab": 1},
    "request": "r1", "table": "silver.orders", "action": "waive", "offsets": {"next": [3]},
}  # fmt: skip
PUBLISHED = {"batches": ["orders-ab"], "score": 1.0, "waived": []}

EARLIER: dict[str, tuple[dict[str, Any], Notes]] = {
    "the first merges": (
        PUBLISHED | {"rejected": ["orders-cd"], "releases": 3},
        Notes(("orders-ab",), score=1.0, waived=(), rejected=("orders-cd",), releases=3),
    ),
    "the first derived tables, whose changes nobody kept": (
        {"batches": [], "batch_id": "daily-fe", "accepted": False, "mark": True},
        Notes((), itself=Batch("daily-fe"), others={"mark": True}),
    ),
    "requests before they could be withdrawn": (
        {"request": "r1", "table": "silver.orders", "waived": True},
        Notes(request=ReleaseRequest("r1", "silver.orders", ""), others={"waived": True}),
    ),
    "rollbacks": (
        PUBLISHED | {"deliveries": 4, "rollback": {"to": "3", "of": "7"}},
        Notes(("orders-ab",), score=1.0, waived=(), deliveries=4,
              others={"rollback": {"to": "3", "of": "7"}}),
    ),
    "extractions": (
        {"position": "c0ffee", "watermark": {"column": "id", "value": "7"}, "delivered": {}},
        Notes(start="c0ffee", delivered={},
              others={"watermark": {"column": "id", "value": "7"}}),
    ),
}  # fmt: skip
ATTEMPT = {
    "table": {"domain": "shop", "layer": "silver", "name": "orders"}, "token": "t1",
    "inputs": {"bronze.orders": "3"}, "rows": {"ingested": 2, "published": 1},
    "batches": [{"batch_id": "orders-ab", "rows": 2, "quarantined": 1, "waiting": 0,
                 "accepted": True, "found_again": False}],
    "files": [], "problems": [], "contract": "", "replace": False,
    "notes": {"backfill": PART, "rejected": ["orders-cd"], "releases": 1, "changes": True,
              "accounts": {"orders-ab": {"quarantined": 1, "restated": -1}},
              "batch_id": "orders-fe", "accepted": True},
    "seconds": 0.0, "consumed": None, "heads": {},
}  # fmt: skip
"""As the version before wrote an attempt to its file; its folder is where it is."""


def test_each_fact_has_one_form() -> None:
    assert all(getattr(ALL, fact.name) is not None for fact in fields(Notes))
    assert ALL.stored() == STORED
    assert Notes.read(json.loads(json.dumps(ALL.stored()))) == ALL


def test_what_a_commit_says_nothing_of_has_no_key() -> None:
    assert Notes().stored() == {}
    assert Notes.of(None) == Notes.read({}) == Notes()


@pytest.mark.parametrize(("stored", "notes"), EARLIER.values(), ids=EARLIER)
def test_records_of_earlier_versions_are_read(stored: dict[str, Any], notes: Notes) -> None:
    assert Notes.of(CommitRecord("run", "t", notes=stored)) == notes


@pytest.mark.parametrize(
    "name", [n for n in EARLIER if n != "requests before they could be withdrawn"]
)
def test_records_of_earlier_versions_are_carried_on_as_they_are(name: str) -> None:
    stored, notes = EARLIER[name]
    assert notes.stored() == stored


@pytest.mark.parametrize(
    "unread",
    [
        {"later": {"n": 1}},
        {"backfill": {"id": "ab-1", "hours": 3}},
        {"backfill": PART | {"start": "the first"}},
        {"drift": [{"columns": 3}]},
        {"rejected": 3},
        {"snapshot": None},
    ],
    ids=lambda unread: str(unread)[:40],
)
def test_what_cannot_be_read_is_kept(unread: dict[str, Any]) -> None:
    found = Notes.read({"releases": 2} | unread)
    assert found == Notes(releases=2, others=unread)
    assert replace(found, releases=None).stored() == unread


def test_an_attempt_of_the_version_before_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "attempt.json"
    file.write_text(json.dumps(ATTEMPT | {"folder": str(tmp_path)}))
    attempt = Attempt.load(tmp_path)
    assert attempt is not None
    assert attempt.is_part
    assert attempt.notes == Notes(
        backfill=JANUARY, rejected=("orders-cd",), releases=1, keeps_changes=True,
        accounts={"orders-ab": {"quarantined": 1, "restated": -1}},
        itself=Batch("orders-fe", accepted=True),
    )  # fmt: skip
    attempt.save()
    assert json.loads(file.read_text()) == ATTEMPT | {"folder": str(tmp_path)}


def test_a_person_accepts_deliveries_or_the_attempt_that_has_none() -> None:
    own, delivered = Batch("daily-fe", accepted=True), Batch("orders-ab", 2)
    ref = TableRef("shop", "gold", "daily")
    assert Attempt(ref, "t", "").resolvable == ()
    assert Attempt(ref, "t", "", notes=Notes(itself=own)).resolvable == (own,)
    both = Attempt(ref, "t", "", batches=(delivered,), notes=Notes(itself=own))
    assert both.resolvable == (delivered,)


def test_a_record_that_is_carried_on_leaves_behind_what_tells_of_its_commit() -> None:
    kept = CommitRecord("run", "t", {"bronze.a": "3"}, contract="c", notes={"score": 1.0})
    made = (
        replace(kept, rows={"published": 1})
        .as_checkpoint()
        .as_rollback(Version("3"), of=Version("7"))
    )
    assert (made.is_checkpoint, made.rollback) == (True, ("3", "7"))
    copy = made.as_copy("1:5")
    assert (copy.copied, copy.rollback, copy.is_checkpoint) == ("1:5", None, True)
    for record in (made, copy, made.as_evolution(["a change"])):
        assert record.carried() == kept
    assert made.as_evolution(["a change"]).changes_columns
    assert not made.changes_columns


def test_counted_rows_are_stored_as_numbers_by_batch() -> None:
    stored = Notes(recalled=Counter({"orders-1": 2})).stored()
    record = CommitRecord.from_json(CommitRecord("run", "t", notes=stored).to_json())
    assert Notes.of(record).recalled == {"orders-1": 2}
