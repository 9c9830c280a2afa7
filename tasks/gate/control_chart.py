"""The individuals and moving range chart (XmR chart) of a series of numbers, and its run rules.

Sources: NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2 "Individuals Control Charts" (centre and
limits) and 6.3.2 "What are Variables Control Charts?" (the Western Electric rules, which are those of the
Statistical Quality Control Handbook, Western Electric, 1956).

The moving ranges only estimate sigma. They are not judged themselves, because the jump back from an outlier
would be a signal against a good run.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

D2 = 1.128
"""Expected range of two values of a normal distribution, in sigmas; 3 / 1.128 is the usual 2.66."""
MINIMUM = 8
"""Fewer points give limits that say little."""


@dataclass(frozen=True)
class RunRule:
    """`needed` of the newest `window` points lie more than `sigmas` from the centre, on one side.

    The newest point is one of them, so that a point which is back where it belongs is not a signal.
    """

    needed: int
    window: int
    sigmas: int

    def side(self, points: Sequence[float], limits: ControlLimits) -> int:
        """-1 where the rule is broken below the centre, 1 above, 0 where it is kept."""
        distance = self.sigmas * limits.sigma
        recent = points[-self.window :]
        for side in (-1, 1):
            beyond = [side * (point - limits.centre) > distance for point in recent]
            if beyond[-1] and sum(beyond) >= self.needed:
                return side
        return 0

    def words(self, side: int) -> str:
        """What a broken rule found, as the end of a sentence."""
        where = "below" if side < 0 else "above"
        if self.window == 1:
            return f"{where} the {'lower' if side < 0 else 'upper'} control limit"
        if self.needed == self.window:
            return f"{self.needed} in a row {where} the mean"
        return f"{self.needed} of the last {self.window} more than {self.sigmas} sigma {where} the mean"


WESTERN_ELECTRIC = (RunRule(1, 1, 3), RunRule(2, 3, 2), RunRule(4, 5, 1), RunRule(8, 8, 0))
"""The four Western Electric rules, as they are tried."""


@dataclass(frozen=True)
class ControlLimits:
    """What points are expected from the process as it was.

    Attributes:
        centre: Mean of the points.
        sigma: Mean moving range / d2.
        lower: Centre - 3 sigma, but not below zero: counts and shares are not.
        upper: Centre + 3 sigma.
        points: How many points they are taken from.
    """

    centre: float
    sigma: float
    lower: float
    upper: float
    points: int


@dataclass(frozen=True)
class Judgement:
    """A new point against the limits of the earlier ones.

    Attributes:
        broken: The broken rules, in words.
        sentence: The numbers and the broken rules in words.
    """

    value: float
    limits: ControlLimits
    broken: tuple[str, ...]
    sentence: str


def control_limits(history: Sequence[float]) -> ControlLimits:
    """Centre and 3-sigma limits: mean +- 3 x mean moving range / 1.128 (NIST 6.3.2.2).

    Where all points are equal both limits are the centre, and any other value is a signal.

    Raises:
        ValueError: Fewer than two points, which have no moving range.
    """
    if len(history) < 2:
        raise ValueError(f"control limits need two points or more, not {len(history)}")
    # `mean` is exact, where `fmean` may round the mean of equal points away from them.
    centre = statistics.mean(map(float, history))
    sigma = statistics.mean(abs(after - before) for before, after in pairwise(history)) / D2
    return ControlLimits(
        centre, sigma, max(0.0, centre - 3 * sigma), centre + 3 * sigma, len(history)
    )


def judge(
    history: Sequence[float],
    value: float,
    *,
    subject: str,
    period: str,
    percent: bool = False,
    minimum: int = MINIMUM,
) -> Judgement | None:
    """Judge a new point against the limits of the earlier ones; None where these are too few.

    Args:
        history: Earlier points, oldest first; the new one is not among them.
        value: The new point.
        subject: What was counted, such as "rows published".
        period: What a point stands for, in the plural, such as "runs".
        percent: Show the numbers as percent.
        minimum: Points that the limits need.
    """
    if len(history) < max(2, minimum):
        return None
    limits = control_limits(history)
    sides = [(rule, rule.side([*history, value], limits)) for rule in WESTERN_ELECTRIC]
    broken = tuple(rule.words(side) for rule, side in sides if side)
    sentence = (
        f"{shown(value, percent=percent)} {subject}, expected {expected(limits, percent=percent)} "
        f"(mean {shown(limits.centre, percent=percent)} of the last {limits.points} {period})"
    )
    return Judgement(
        value, limits, broken, ": ".join([sentence, *filter(None, [", ".join(broken)])])
    )


def expected(limits: ControlLimits, *, percent: bool = False) -> str:
    """The range between the limits, in words."""
    return f"{shown(limits.lower, percent=percent)} to {shown(limits.upper, percent=percent)}"


def shown(number: float, *, percent: bool = False) -> str:
    """A number for a reader; a decimal where there is one."""
    return f"{number:.2%}" if percent else f"{number:,.1f}".removesuffix(".0")
