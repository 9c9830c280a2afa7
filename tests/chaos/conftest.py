"""The fixtures of the end-to-end tests."""

from __future__ import annotations

from tests.e2e.conftest import lakehouse, make_lakehouse, prefect_home

__all__ = ["lakehouse", "make_lakehouse", "prefect_home"]
