from __future__ import annotations

import pytest

from tasks.gate.control_chart import WESTERN_ELECTRIC, ControlLimits, control_limits, judge

# NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2 "Individuals Control Charts": flow rate of ten
# batches, with the published mean 50.81, mean moving range 1.8778 and limits 55.8041 and 45.8159.
FLOW_RATE = (49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1)

ONE, TWO_OF_THREE, FOUR_OF_FIVE, EIGHT = WESTERN_ELECTRIC
LIMITS = ControlLimits(centre=100.0, sigma=1.0, lower=97.0, upper=103.0, points=20)


def test_the_limits_are_those_that_nist_publishes() -> None:
    limits = control_limits(FLOW_RATE)
    assert limits.centre == pytest.approx(50.81, abs=1e-9)
    assert limits.sigma * 1.128 == pytest.approx(1.8778, abs=5e-5)
    assert limits.upper == pytest.approx(55.8041, abs=5e-5)
    assert limits.lower == pytest.approx(45.8159, abs=5e-5)
    assert limits.points == 10


def test_every_point_of_the_nist_example_is_in_control() -> None:
    """The handbook's own reading of its chart: all points are within the limits."""
    limits = control_limits(FLOW_RATE)
    assert not any(ONE.side([value], limits) for value in FLOW_RATE)


def test_a_lower_limit_is_not_below_zero() -> None:
    # Mean 5, moving ranges 10: 5 - 3 x 10 / 1.128 is -21.6.
    limits = control_limits([0, 10, 0, 10, 0, 10])
    assert limits.lower == 0.0
    assert limits.upper == pytest.approx(5 + 30 / 1.128)


def test_one_point_has_no_moving_range() -> None:
    with pytest.raises(ValueError, match="two points or more, not 1"):
        control_limits([3.0])


@pytest.mark.parametrize(
    ("rule", "points", "side"),
    [
        (ONE, [103.1], 1),
        (ONE, [96.9], -1),
        (ONE, [103.0], 0),
        (ONE, [97.0], 0),
        (ONE, [104.0, 100.0], 0),
        (TWO_OF_THREE, [102.1, 100.0, 102.2], 1),
        (TWO_OF_THREE, [100.0, 97.9, 97.8], -1),
        (TWO_OF_THREE, [102.1, 100.0, 97.9], 0),
        (TWO_OF_THREE, [102.1, 102.2, 100.0], 0),
        (TWO_OF_THREE, [102.1, 100.0, 100.0, 102.2], 0),
        (TWO_OF_THREE, [102.0, 102.0, 102.0], 0),
        (FOUR_OF_FIVE, [101.1, 101.2, 100.0, 101.3, 101.4], 1),
        (FOUR_OF_FIVE, [98.9, 100.5, 98.8, 98.7, 98.6], -1),
        (FOUR_OF_FIVE, [101.1, 101.2, 98.0, 98.1, 101.4], 0),
        (FOUR_OF_FIVE, [101.1, 101.2, 101.3, 101.4, 100.5], 0),
        (FOUR_OF_FIVE, [101.1, 101.2, 100.0, 100.0, 101.3, 101.4], 0),
        (EIGHT, [100.1] * 8, 1),
        (EIGHT, [99.9] * 9, -1),
        (EIGHT, [100.1] * 7, 0),
        (EIGHT, [*[100.1] * 4, 100.0, *[100.1] * 4], 0),
        (EIGHT, [*[100.1] * 7, 99.9], 0),
    ],
)
def test_a_run_rule(rule: object, points: list[float], side: int) -> None:
    assert rule.side(points, LIMITS) == side  # type: ignore[attr-defined]


# Mean 10,000; 19 moving ranges of 100: sigma is 88.652, the limits are 9,734.0 and 10,266.0.
STEADY = [9950.0, 10050.0] * 10


def test_a_point_as_expected_is_explained_in_words() -> None:
    found = judge(STEADY, 10_100, subject="rows published", period="runs")
    assert found is not None
    assert found.broken == ()
    assert found.sentence == (
        "10,100 rows published, expected 9,734 to 10,266 (mean 10,000 of the last 20 runs)"
    )


def test_a_point_below_the_limits_is_explained_in_words() -> None:
    found = judge(STEADY, 1_204, subject="rows published", period="runs")
    assert found is not None
    assert found.value == 1_204
    assert found.sentence == (
        "1,204 rows published, expected 9,734 to 10,266 (mean 10,000 of the last 20 runs): "
        "below the lower control limit"
    )


@pytest.mark.parametrize(
    ("history", "value", "broken"),
    [
        (STEADY, 11_000, ("above the upper control limit",)),
        # 2 sigma is 177.3: the last point of the history and the new one are beyond it.
        ([*STEADY, 10_250], 10_250, ("2 of the last 3 more than 2 sigma above the mean",)),
        ([*STEADY[:12], *[9970] * 7], 9970, ("8 in a row below the mean",)),
        ([*STEADY, *[10_160] * 3], 10_160, ("4 of the last 5 more than 1 sigma above the mean",)),
    ],
    ids=["1 of 1", "2 of 3", "8 of 8", "4 of 5"],
)
def test_the_broken_rules_are_named(
    history: list[float], value: float, broken: tuple[str, ...]
) -> None:
    found = judge(history, value, subject="rows", period="runs")
    assert found is not None
    assert found.broken == broken
    assert found.sentence.endswith(": " + ", ".join(broken))


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 100.0])
def test_where_all_points_are_equal_any_other_is_a_signal(constant: float) -> None:
    history = [constant] * 11
    same = judge(history, constant, subject="rows", period="runs")
    other = judge(history, constant * 1.01, subject="rows", period="runs")
    assert same is not None
    assert other is not None
    assert same.broken == ()
    assert (same.limits.lower, same.limits.upper) == (constant, constant)
    assert other.broken == ("above the upper control limit",)


def test_too_few_points_are_not_judged() -> None:
    assert judge(STEADY[:7], 1.0, subject="rows", period="runs") is None
    assert judge(STEADY[:8], 1.0, subject="rows", period="runs") is not None
    assert judge(STEADY[:3], 1.0, subject="rows", period="runs", minimum=3) is not None
    assert judge([5.0], 1.0, subject="rows", period="runs", minimum=1) is None


def test_shares_are_shown_as_percent() -> None:
    found = judge([0.9, 0.92] * 4, 0.5, subject="of rows", period="runs", percent=True)
    assert found is not None
    assert found.sentence == (
        "50.00% of rows, expected 85.68% to 96.32% (mean 91.00% of the last 8 runs): "
        "below the lower control limit"
    )
