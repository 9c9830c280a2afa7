"""Reviews: scores that follow the delivery, and comments in Portuguese."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.generate.columns import (
    ABSENT,
    Identifiers,
    Instants,
    IntArray,
    Integers,
    Table,
    Texts,
    identifiers,
)
from tasks.generate.olist.comments import CLOSINGS, LINE_BREAKS, MESSAGES, OPENINGS, TITLES
from tasks.generate.olist.orders import DAY, Orders
from tasks.generate.sampling import draw, spread

_REVIEWED = 98_673 / 99_441  # orders that have a review
_REPEATED_ID = 814 / 99_224  # rows that carry the identifier of another order's review
_FURTHER_REVIEWS = (0.993, 0.007)
_SCORES = {
    "on time": (0.066, 0.026, 0.08, 0.208, 0.62),
    "late": (0.46, 0.08, 0.12, 0.12, 0.22),
    "not delivered": (0.72, 0.08, 0.07, 0.05, 0.08),
}
_TITLED = (0.16, 0.16, 0.11, 0.10, 0.11)
_COMMENTED = (0.76, 0.68, 0.44, 0.32, 0.36)
_LONGEST_MESSAGE = 208  # characters, where the shop's form cuts


@dataclass(frozen=True)
class _Texts:
    titles: list[str]
    messages: list[str]


def reviews(rng: np.random.Generator, rows: int, orders: Orders) -> Table:
    """Generate exactly `rows` reviews; some orders have several, some reviews several orders."""
    count = orders.table.rows
    reviewed = rng.permutation(count)[: min(rows, round(count * _REVIEWED))]
    counts = 1 + spread(rng, rows - len(reviewed), len(reviewed), _FURTHER_REVIEWS)
    order = np.repeat(reviewed, counts)
    delivered, estimated = orders.delivered[order], orders.estimated[order]
    score = _scores(rng, delivered, estimated)
    created = _created(rng, orders, order)
    answered = created + (rng.lognormal(np.log(1.6), 0.8, rows) * DAY).astype(np.int64)
    texts = _texts(rng, score)
    # Row whose content each row shows: another order's for repeated identifiers. Only the first
    # review of an order takes part, so that (review_id, order_id) stays unique.
    source = np.arange(rows)
    firsts = rng.permutation(np.cumsum(counts) - counts)
    repeated = min(max(1, round(rows * _REPEATED_ID)), len(firsts) // 2)
    source[firsts[:repeated]] = firsts[repeated : 2 * repeated]
    at = rng.permutation(rows)
    source, order = source[at], order[at]
    return Table(
        name="order_reviews",
        file="olist_order_reviews_dataset.csv",
        key=("review_id", "order_id"),
        rows=rows,
        columns={
            "review_id": Identifiers(identifiers(rng, rows), source),
            "order_id": Identifiers(orders.raw, order),
            "review_score": Integers(score[source]),
            "review_comment_title": Texts([texts.titles[row] for row in source.tolist()]),
            "review_comment_message": Texts([texts.messages[row] for row in source.tolist()]),
            "review_creation_date": Instants(created[source]),
            "review_answer_timestamp": Instants(answered[source]),
        },
    )


def _scores(rng: np.random.Generator, delivered: IntArray, estimated: IntArray) -> IntArray:
    """Draw scores from 1 to 5: a late or missing parcel is what customers punish."""
    score = np.empty(len(delivered), dtype=np.int64)
    missing = delivered == ABSENT
    late = ~missing & (delivered // DAY > estimated // DAY)
    for kind, rows in (
        ("on time", np.flatnonzero(~missing & ~late)),
        ("late", np.flatnonzero(late)),
        ("not delivered", np.flatnonzero(missing)),
    ):
        score[rows] = 1 + draw(rng, _SCORES[kind], len(rows))
    return score


def _created(rng: np.random.Generator, orders: Orders, order: IntArray) -> IntArray:
    """The survey goes out the day after the delivery, or after the promised date if earlier."""
    delivered, estimated = orders.delivered[order], orders.estimated[order]
    arrived = delivered // DAY + draw(rng, (0.04, 0.94, 0.02), len(order))
    promised = estimated // DAY + rng.integers(1, 4, len(order))
    days = np.where(delivered == ABSENT, promised, np.minimum(arrived, promised))
    return np.maximum(days, orders.purchased[order] // DAY + 1) * DAY


def _texts(rng: np.random.Generator, score: IntArray) -> _Texts:
    """Write titles and messages for the scores; most reviews have neither."""
    rows = len(score)
    picks = rng.integers(0, 2**31, (5, rows)).T.tolist()
    titled = rng.random(rows) < np.array(_TITLED)[score - 1]
    commented = rng.random(rows) < np.array(_COMMENTED)[score - 1]
    titles, messages = [""] * rows, [""] * rows
    moods = ["bad" if s <= 2 else "fair" if s == 3 else "good" for s in score.tolist()]
    for row in np.flatnonzero(titled).tolist():
        titles[row] = TITLES[moods[row]][picks[row][0] % len(TITLES[moods[row]])]
    for row in np.flatnonzero(commented).tolist():
        messages[row] = _message(moods[row], picks[row])
    # Files of any size hold the two things that break careless readers.
    row = int(np.flatnonzero(commented)[0]) if commented.any() else 0
    messages[row] = LINE_BREAKS[moods[row]]
    return _Texts(titles, messages)


def _message(mood: str, picks: list[int]) -> str:
    """Compose a message of one to three parts, now and then over several lines."""
    parts = [MESSAGES[mood][picks[1] % len(MESSAGES[mood])]]
    if picks[0] % 4 == 0:
        parts.insert(0, OPENINGS[picks[2] % len(OPENINGS)])
    if picks[3] % 5 < 2:
        parts.append(CLOSINGS[mood][picks[4] % len(CLOSINGS[mood])])
    joint = "\r\n" if len(parts) > 1 and picks[2] % 5 == 0 else " "
    text = joint.join(parts)
    text = text.upper() if picks[4] % 23 == 0 else text.lower() if picks[3] % 7 == 0 else text
    return text[:_LONGEST_MESSAGE]
