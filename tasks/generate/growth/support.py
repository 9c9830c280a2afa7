"""Support tickets: answered sooner when urgent, rated worse when slow, some still open."""

from __future__ import annotations

import numpy as np

from tasks.generate.columns import (
    ABSENT,
    Coded,
    Identifiers,
    Instants,
    Integers,
    Table,
    identifiers,
)
from tasks.generate.growth.period import END, days, on_workdays
from tasks.generate.growth.users import Users
from tasks.generate.sampling import draw

PRIORITIES = ("low", "normal", "high", "urgent")
_PRIORITY = (0.24, 0.52, 0.18, 0.06)
_RESPONSE_DAYS = (1.6, 0.7, 0.25, 0.08)  # median by priority
_WORK_DAYS = (3.0, 1.8, 1.0, 0.5)

_TICKETS = 0.45  # a user
_FEWEST = 8
_RATED = 0.42  # of resolved tickets
_SLOW_DAYS = 4.0
_SCORES = {"quick": (0.04, 0.05, 0.12, 0.29, 0.50), "slow": (0.22, 0.20, 0.24, 0.20, 0.14)}


def tickets(rng: np.random.Generator, people: Users) -> Table:
    """Generate the tickets as each stands at the end of the period."""
    rows = max(_FEWEST, round(len(people.signed_up) * _TICKETS))
    user = rng.integers(0, len(people.signed_up), rows)
    begin = people.signed_up[user]
    opened = begin + (rng.beta(0.8, 2.5, rows) * (END - begin)).astype(np.int64)
    opened = on_workdays(rng, opened, 0.5)
    opened = np.where(opened < END, opened, begin)
    order = np.argsort(opened, kind="stable")
    user, opened = user[order], opened[order]
    priority = draw(rng, _PRIORITY, rows)
    response = opened + days(np.array(_RESPONSE_DAYS)[priority] * rng.lognormal(0, 0.8, rows))
    resolved = response + days(np.array(_WORK_DAYS)[priority] * rng.lognormal(0, 0.9, rows))
    slow = resolved - opened > days(np.array(_SLOW_DAYS))
    score = 1 + np.where(slow, draw(rng, _SCORES["slow"], rows), draw(rng, _SCORES["quick"], rows))
    rated = (resolved < END) & (rng.random(rows) < _RATED)
    updated = np.where(resolved < END, resolved, np.where(response < END, response, opened))
    return Table(
        name="support_tickets",
        file="growth_support_tickets.csv",
        key=("ticket_id",),
        rows=rows,
        columns={
            "ticket_id": Identifiers(identifiers(rng, rows), np.arange(rows)),
            "user_id": Identifiers(people.raw, user),
            "priority": Coded(priority, PRIORITIES),
            "opened_at": Instants(opened),
            "first_response_at": Instants(np.where(response < END, response, ABSENT)),
            "resolved_at": Instants(np.where(resolved < END, resolved, ABSENT)),
            "csat": Integers(np.where(rated, score, ABSENT)),
            "updated_at": Instants(updated),
        },
    )
