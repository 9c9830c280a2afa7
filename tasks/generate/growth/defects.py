"""What can go wrong in each of the six files, by the row rules of their silver tables."""

from __future__ import annotations

from tasks.generate.breaking import another, dearer, empty, one_of, shifted
from tasks.generate.growth.visits import CHANNELS
from tasks.generate.planting import Change, Recipe, Rule

_NO_INSTANT = ("2024-13-05 10:00:00", "31/12/2023 10:00", "2023-02-29 08:00:00", "yesterday")
_NO_AMOUNT = ("abc", "12,50", "1.2.3", "EUR 10")
_NO_SCORE = ("0", "6", "-1", "10")
_NO_STATUS = ("disputed", "Paid", "void")
_FUTURE = ("2999-01-01 00:00:00", "3024-05-17 10:00:00")
_COUNTRIES = ("AT", "CH", "SE", "PT")


def recipes() -> dict[str, Recipe]:
    """Return each table's recipe, by table name."""
    return {
        "visits": Recipe(
            rules=[
                _missing("key_missing", "visit_id"),
                _not_parseable(instants=("visited_at",), amounts=("cost",)),
                _missing("required_missing", "visitor_id", "visited_at"),
                _negative("cost"),
                _in_the_future("visited_at"),
            ],
            corrections=[
                ("channel", another("channel", [channel.name for channel in CHANNELS])),
                dearer("cost"),
                _earlier("visited_at"),
            ],
        ),
        "signups": Recipe(
            rules=[
                _missing("key_missing", "user_id"),
                _not_parseable(instants=("signed_up_at",)),
                _missing("required_missing", "signed_up_at"),
                _in_the_future("signed_up_at"),
            ],
            corrections=[("country", another("country", _COUNTRIES)), _earlier("signed_up_at")],
        ),
        "product_events": Recipe(
            rules=[
                _missing("key_missing", "event_id"),
                _not_parseable(instants=("event_ts",)),
                _missing("required_missing", "user_id", "event_ts"),
                _in_the_future("event_ts"),
            ],
            corrections=[_earlier("event_ts")],
        ),
        "experiments": Recipe(
            rules=[
                _missing("key_missing", "assignment_id"),
                _not_parseable(instants=("assigned_at",)),
                _missing("required_missing", "experiment", "variant", "user_id", "assigned_at"),
                _in_the_future("assigned_at"),
            ],
            corrections=[_earlier("assigned_at")],
        ),
        "billing": _billing(),
        "support_tickets": _tickets(),
    }


def _billing() -> Recipe:
    """A correction at the same updated_at counts because its amount is greater."""
    return Recipe(
        rules=[
            _missing("key_missing", "invoice_id"),
            _not_parseable(instants=("issued_at", "paid_at", "updated_at"), amounts=("amount",)),
            _missing("sequence_missing", "updated_at"),
            _missing("required_missing", "user_id", "amount", "status", "issued_at"),
            Rule("unknown_status", [("status", one_of(_NO_STATUS))]),
            _negative("amount"),
            Rule("paid_without_date", [("paid_at", empty)], holds={"status": "paid"}),
            _in_the_future("issued_at", "updated_at"),
        ],
        corrections=[dearer("amount"), _later("updated_at")],
    )


def _tickets() -> Recipe:
    instants = ("opened_at", "first_response_at", "resolved_at", "updated_at")
    return Recipe(
        rules=[
            _missing("key_missing", "ticket_id"),
            _not_parseable(instants=instants),
            _missing("sequence_missing", "updated_at"),
            _missing("required_missing", "user_id", "opened_at"),
            Rule("csat_out_of_range", [("csat", one_of(_NO_SCORE))]),
            Rule(
                "resolved_before_opened",
                [
                    (
                        "resolved_at",
                        lambda row, pick: shifted(row["opened_at"], hours=-1 - pick % 48),
                    )
                ],
                requires=("resolved_at",),
            ),
            _in_the_future("first_response_at", "updated_at"),
        ],
        corrections=[_later("updated_at")],
    )


def _missing(rule: str, *columns: str) -> Rule:
    return Rule(rule, [(column, empty) for column in columns])


def _not_parseable(*, instants: tuple[str, ...], amounts: tuple[str, ...] = ()) -> Rule:
    return Rule(
        "not_parseable",
        [(column, one_of(_NO_INSTANT)) for column in instants]
        + [(column, one_of(_NO_AMOUNT)) for column in amounts],
    )


def _in_the_future(*columns: str) -> Rule:
    return Rule("in_the_future", [(column, one_of(_FUTURE)) for column in columns])


def _negative(column: str) -> Rule:
    return Rule("negative_amount", [(column, lambda row, _: repr(-max(float(row[column]), 0.01)))])


def _earlier(column: str) -> tuple[str, Change]:
    """An instant up to an hour earlier."""
    return column, lambda row, pick: shifted(row[column], seconds=-1 - pick % 3600)


def _later(column: str) -> tuple[str, Change]:
    """An instant up to an hour later."""
    return column, lambda row, pick: shifted(row[column], seconds=1 + pick % 3600)
