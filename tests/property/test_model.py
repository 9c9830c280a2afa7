"""The model against cases small enough to be worked out by hand, and against its own rules."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.property import gold, model
from tests.property.events import Record, event_logs, make_log
from tests.property.model import TABLES, Row, broken_rule
from tests.property.settings import SETTINGS
from tests.property.spans import bad_spans, deletes

TABLE_MODELS = (
    model.accounts_soft,
    model.accounts_hard,
    model.accounts_history,
    model.accounts_folded,
    model.account_events,
    model.account_notes,
    model.plan_notes,
    gold.plan_totals,
    gold.monthly_events,
    gold.current_plans,
)


def at(day: int, version: int = 1, op: str = "u", **values: str | None) -> Record:
    """An event of account `a` on a day of January; the plan is `free` unless given."""
    none = dict.fromkeys(("plan", "seats", "amount", "note"))
    payload = none if op == "d" else none | {"plan": "free"}
    return Record("a", f"2024-01-{day:02} 00:00:00", str(version), op, **(payload | values))


def day(number: int) -> datetime:
    return datetime(2024, 1, number)


def only(rows: list[Row]) -> Row:
    assert len(rows) == 1
    return rows[0]


def spans(*records: Record) -> list[tuple[Any, ...]]:
    """Days of start and end, and the plan, of each span of account `a`."""
    return [
        (row["valid_from"].day, row["valid_to"].day if row["valid_to"] else None, row["plan"])
        for row in model.accounts_history(records)
    ]


# SCD1


def test_the_last_event_in_sequence_wins_whatever_the_arrival() -> None:
    events = [at(2, plan="pro"), at(1, plan="free")]

    assert only(model.accounts_soft(events))["plan"] == "pro"
    assert only(model.accounts_soft(events[::-1]))["plan"] == "pro"


def test_a_deleted_key_stays_marked_or_goes() -> None:
    events = [at(1, plan="pro"), at(2, op="d", note="bye")]

    kept = only(model.accounts_soft(events))
    assert (kept["_is_deleted"], kept["plan"], kept["note"]) == (True, None, "bye")
    assert model.accounts_hard(events) == []


def test_an_update_before_the_delete_does_not_bring_the_key_back() -> None:
    assert model.accounts_hard([at(1), at(3, op="d"), at(2, plan="pro")]) == []


def test_a_re_insert_after_the_delete_is_there() -> None:
    events = [at(1), at(2, op="d"), at(3, plan="pro")]

    assert only(model.accounts_hard(events))["plan"] == "pro"
    assert only(model.accounts_soft(events))["_is_deleted"] is False


def test_at_an_equal_sequence_a_delete_wins() -> None:
    assert model.accounts_hard([at(1, op="d"), at(1, plan="zzz")]) == []


def test_at_an_equal_sequence_the_greater_content_wins() -> None:
    tied = [at(1, plan="pro", seats="9"), at(1, plan="team", seats="10"), at(1, plan="team")]

    row = only(model.accounts_soft(tied))

    assert (row["plan"], row["seats"]) == ("team", 10)  # 10 as a number, and null before values


def test_text_is_compared_by_code_point() -> None:
    assert only(model.accounts_soft([at(1, plan="\U0001f600"), at(1, plan="\uff5e")]))["plan"] == (
        "\U0001f600"
    )


def test_the_second_sequence_column_orders_events_of_an_instant() -> None:
    assert only(model.accounts_soft([at(1, 10, plan="a"), at(1, 9, plan="b")]))["plan"] == "a"


# Partial updates


def test_a_null_keeps_the_earlier_value() -> None:
    events = [at(1, plan="pro", seats="1"), at(2, plan=None, seats="2"), at(3, plan=None)]

    row = only(model.accounts_folded(events))

    assert (row["plan"], row["seats"], row["changed_at"]) == ("pro", 2, day(3))


def test_a_late_partial_update_fills_only_what_no_later_event_has_given() -> None:
    events = [at(1, plan="pro", seats="1"), at(3, plan="team")]

    row = only(model.accounts_folded([*events, at(2, plan="free", seats="7")]))

    assert (row["plan"], row["seats"]) == ("team", 7)


def test_a_re_insert_starts_from_nothing() -> None:
    events = [at(1, seats="5"), at(2, op="d", seats="6"), at(3, plan="pro")]

    assert only(model.accounts_folded(events[:2]))["plan"] is None
    assert only(model.accounts_folded(events))["seats"] is None


# Histories


def test_a_late_event_parts_a_span() -> None:
    assert spans(at(1, plan="a"), at(9, plan="c")) == [(1, 9, "a"), (9, None, "c")]
    assert spans(at(1, plan="a"), at(9, plan="c"), at(5, plan="b")) == [
        (1, 5, "a"), (5, 9, "b"), (9, None, "c"),
    ]  # fmt: skip


def test_a_delete_leaves_a_gap_until_the_re_insert() -> None:
    assert spans(at(1), at(3, op="d")) == [(1, 3, "free")]
    assert spans(at(1), at(3, op="d"), at(5)) == [(1, 3, "free"), (5, None, "free")]


def test_a_delete_of_nothing_makes_no_span() -> None:
    assert spans(at(1, op="d"), at(2, op="d")) == []
    assert spans(at(1, op="d"), at(2)) == [(2, None, "free")]


def test_neighbours_with_equal_values_are_one_span() -> None:
    assert spans(at(1), at(5, note="untracked"), at(9)) == [(1, None, "free")]


def test_an_event_that_changed_nothing_matters_once_a_late_one_comes_before_it() -> None:
    assert spans(at(1, plan="a"), at(5, plan="a")) == [(1, None, "a")]
    assert spans(at(1, plan="a"), at(5, plan="a"), at(3, plan="b")) == [
        (1, 3, "a"), (3, 5, "b"), (5, None, "a"),
    ]  # fmt: skip


def test_a_late_event_makes_neighbours_equal() -> None:
    events = [at(1, plan="a"), at(5, plan="b"), at(9, plan="a")]

    assert spans(*events) == [(1, 5, "a"), (5, 9, "b"), (9, None, "a")]
    assert spans(*events, at(5, 2, plan="a")) == [(1, None, "a")]


def test_a_late_delete_parts_a_span_of_equal_values() -> None:
    assert spans(at(1), at(9), at(5, op="d")) == [(1, 5, "free"), (9, None, "free")]


def test_of_several_events_at_an_instant_only_the_last_counts() -> None:
    assert spans(at(1, 1, plan="a"), at(1, 2, op="d"), at(1, 3, plan="b")) == [(1, None, "b")]
    assert spans(at(1, plan="a"), at(2, 1, plan="b"), at(2, 2, op="d")) == [(1, 2, "a")]


# Append


def test_an_event_counts_once_and_the_greater_content_stays() -> None:
    events = [at(1, plan="a"), at(1, plan="b"), at(1, plan="a"), at(2, plan="a")]

    found = [(r["changed_at"].day, r["plan"]) for r in model.account_events(events)]

    assert sorted(found) == [(1, "b"), (2, "a")]


def test_in_an_event_log_a_delete_is_an_event_as_any_other() -> None:
    assert len(model.account_events([at(1), at(2, op="d")])) == 2


# Nulls in every place


def test_without_a_sequence_a_value_comes_after_none() -> None:
    events = [at(2, note=None), at(1, note="a"), at(3, note=None)]

    assert model.account_notes(events) == [{"account_id": "a", "note": "a"}]
    assert only(model.account_notes([at(1, note=None)]))["note"] is None


def test_an_unknown_instant_comes_first_and_null_is_a_key_of_a_history() -> None:
    events = [
        at(31, plan=None, note="unknown"),
        at(2, 1, plan=None, note="tie", seats=None),
        at(2, 2, plan=None, note=None, seats="1"),
        at(3, plan="x", note="other"),
    ]

    found = [
        (r["plan"], r["note"], r["valid_from"], r["valid_to"]) for r in model.plan_notes(events)
    ]

    assert found == [
        (None, "unknown", None, day(2)), (None, None, day(2), None), ("x", "other", day(3), None),
    ]  # fmt: skip


# Typing and rules


def test_different_texts_of_one_value_are_one_event() -> None:
    same = [
        at(1, amount=text, seats=n) for text, n in (("10", "1"), ("10.00", "+1"), ("1e1", "01"))
    ]

    assert len(model.histories(same, TABLES["accounts_soft"])[("a",)]) == 1


def test_amounts_are_rounded_half_up() -> None:
    assert only(model.accounts_soft([at(1, amount="7.005")]))["amount"] == Decimal("7.01")
    assert only(model.accounts_soft([at(1, amount="-7.005")]))["amount"] == Decimal("-7.01")


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (at(1)._replace(account_id=" "), "key_missing"),
        (at(1)._replace(account_id=None), "key_missing"),
        (at(1)._replace(changed_at=None), "sequence_missing"),
        (at(1)._replace(version=None), "sequence_missing"),
        (at(1)._replace(changed_at="2024-02-30 10:00:00"), "not_parseable"),
        (at(1, seats="3000000000"), "not_parseable"),
        (at(1, op="d", seats="x"), "not_parseable"),
        (at(1)._replace(op=None), "required_missing"),
        (at(1, seats="-1"), "negative_seats"),
        (at(1, op="d", seats="-1"), None),
        (at(1), None),
    ],
)
def test_the_rule_that_a_record_breaks(record: Record, rule: str | None) -> None:
    assert broken_rule(record, TABLES["accounts_soft"]) == rule


def test_a_delete_is_exempt_from_required_values() -> None:
    assert broken_rule(at(1, plan=None), TABLES["accounts_hard"]) == "required_missing"
    assert broken_rule(at(1, op="d", plan=None), TABLES["accounts_hard"]) is None


def test_a_table_without_deletes_exempts_nothing() -> None:
    events = TABLES["account_events"]
    assert broken_rule(at(1, op="d", seats="-1"), events) == "negative_seats"
    assert broken_rule(at(1)._replace(version=None), events) == "key_missing"


# Gold


def test_gold_leaves_out_what_is_deleted() -> None:
    other = at(1, plan=None, seats="2", amount="1.10")._replace(account_id="b")
    gone = [at(1), at(2, op="d", plan="free")]

    assert gold.plan_totals([*gone, other]) == [
        {"plan": None, "accounts": 1, "seats": 2, "amount": Decimal("1.10")}
    ]
    assert gold.current_plans([*gone, other]) == [{"plan": None, "seats": 2, "accounts": 1}]


# Properties


@SETTINGS
@given(log=event_logs(), random=st.randoms(use_true_random=False))
def test_arrival_and_repetition_change_nothing(log: list[Record], random: Random) -> None:
    again = random.choices(log, k=random.randrange(20)) if log else []
    shuffled = random.sample([*log, *again], len(log) + len(again))

    for table in TABLE_MODELS:
        assert _in_order(table(shuffled)) == _in_order(table(log)), table.__name__


@SETTINGS
@given(log=event_logs())
def test_the_histories_keep_the_rules_of_spans(log: list[Record]) -> None:
    assert bad_spans(model.accounts_history(log), deletes(log)) == {}


@SETTINGS
@given(log=event_logs())
def test_the_tables_agree_on_who_is_there(log: list[Record]) -> None:
    soft = {r["account_id"] for r in model.accounts_soft(log) if not r["_is_deleted"]}
    folded = {r["account_id"] for r in model.accounts_folded(log) if not r["_is_deleted"]}
    current = {r["account_id"] for r in model.accounts_history(log) if r["is_current"]}

    assert soft == folded
    # An instant counts its last event in order, and so does a key.
    assert soft == current
    assert sum(r["accounts"] for r in gold.plan_totals(log)) == len(soft)


@pytest.mark.parametrize("seed", range(5))
def test_large_logs_hold_every_hard_case(seed: int) -> None:
    log = make_log(Random(seed), events=320, keys=40)
    history = model.histories(log, TABLES["accounts_soft"])
    rules = {broken_rule(record, TABLES["accounts_hard"]) for record in log}
    tied = [
        (one, other)
        for events in history.values()
        for one, other in pairwise(events)
        if one[1:3] == other[1:3]
    ]
    gaps = [r for r in model.accounts_history(log) if not r["is_current"]]

    assert len(log) == 320
    assert len(history) == 40
    assert len(set(log)) < len(log)
    assert rules == {
        None, "key_missing", "sequence_missing", "not_parseable", "required_missing",
        "negative_seats",
    }  # fmt: skip
    assert {(one.op, other.op) for one, other in tied} >= {
        ("i", "i"), ("i", "u"), ("u", "u"), ("i", "d"), ("u", "d"), ("d", "d"),
    }  # fmt: skip
    assert len(gaps) > 20
    assert 5 < sum(row["_is_deleted"] for row in model.accounts_soft(log)) < 35


def _in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=repr)
