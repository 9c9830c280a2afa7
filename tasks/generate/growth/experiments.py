"""Experiments with a known uplift, and the users assigned to their variants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np

from tasks.generate.columns import Coded, FloatArray, Identifiers, Instants, Table, identifiers
from tasks.generate.growth.period import DAY, END, FIRST_DAY, LAST_DAY, MINUTE, START, days
from tasks.generate.growth.users import Users


class Experiment(NamedTuple):
    """An experiment: whom it takes in, and the true uplift of paying by variant."""

    name: str
    first_day: date
    last_day: date
    uplift: dict[str, float]


EXPERIMENTS = (
    Experiment("pricing_page", FIRST_DAY, LAST_DAY, {"control": 0.0, "simple": 0.0}),
    Experiment(
        "onboarding_checklist",
        date(2023, 3, 1),
        date(2024, 2, 29),
        {"control": 0.0, "checklist": 0.25},
    ),
    Experiment(
        "annual_discount",
        date(2024, 1, 15),
        date(2024, 11, 30),
        {"control": 0.0, "discount_10": 0.10, "discount_20": 0.60},
    ),
)
_AGAIN = 0.02  # assignments that are repeated, with any variant; only the first one counts

_VARIANTS = tuple(dict.fromkeys(v for e in EXPERIMENTS for v in e.uplift))


@dataclass(frozen=True)
class Assignments:
    """The assignments, and by what each user's chance of paying is multiplied (n,)."""

    table: Table
    factor: FloatArray


def assignments(rng: np.random.Generator, people: Users) -> Assignments:
    """Assign every user who signs up while an experiment runs, soon after the signup."""
    factor = np.ones(len(people.signed_up))
    users, kinds, variants, instants = [], [], [], []
    for kind, experiment in enumerate(EXPERIMENTS):
        begin, end = (
            START + (day.toordinal() - FIRST_DAY.toordinal()) * DAY
            for day in (experiment.first_day, experiment.last_day)
        )
        user = np.flatnonzero((people.signed_up >= begin) & (people.signed_up < end + DAY))
        own = np.array([_VARIANTS.index(variant) for variant in experiment.uplift])
        pick = rng.integers(0, len(own), len(user))
        factor[user] *= 1 + np.array(list(experiment.uplift.values()))[pick]
        at = np.minimum(people.signed_up[user] + rng.integers(0, 10 * MINUTE, len(user)), END - 1)
        again = np.flatnonzero(rng.random(len(user)) < _AGAIN)
        later = at[again] + MINUTE + days(rng.uniform(0, 20, len(again)))
        again, later = again[later < END], later[later < END]
        users += [user, user[again]]
        kinds.append(np.full(len(user) + len(again), kind))
        variants += [own[pick], own[rng.integers(0, len(own), len(again))]]
        instants += [at, later]
    at = np.concatenate(instants)
    order = np.argsort(at, kind="stable")
    rows = len(at)
    table = Table(
        name="experiments",
        file="growth_experiments.csv",
        key=("assignment_id",),
        rows=rows,
        columns={
            "assignment_id": Identifiers(identifiers(rng, rows), np.arange(rows)),
            "experiment": Coded(
                np.concatenate(kinds)[order], tuple(experiment.name for experiment in EXPERIMENTS)
            ),
            "variant": Coded(np.concatenate(variants)[order], _VARIANTS),
            "user_id": Identifiers(people.raw, np.concatenate(users)[order]),
            "assigned_at": Instants(at[order]),
        },
    )
    return Assignments(table, factor)
