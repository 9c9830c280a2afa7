"""Hypothesis draws the same examples every time, so that a failure is the same for everyone."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

SETTINGS = settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
