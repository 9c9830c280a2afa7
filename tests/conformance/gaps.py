"""Marks for what a format cannot do: each is a strict xfail, so a gap that closes is noticed.

`notimpl`: the format can, the adapter does not. `notyet`: the format cannot, but may. `never`: it will not.
"""

from __future__ import annotations

import pytest

SHARED = "iceberg_postgres"
"""Iceberg with a catalog in PostgreSQL: it has the gaps of Iceberg."""
GAPS = {
    "notimpl": "the format can do it, the adapter does not",
    "notyet": "the format cannot do it in the version in use",
    "never": "the format excludes it by design",
}


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in GAPS.items():
        config.addinivalue_line("markers", f"{name}(*formats, reason): {meaning}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        chosen = getattr(item, "callspec", None)
        if chosen is None or "store" not in chosen.params:
            continue
        for name in GAPS:
            for mark in item.iter_markers(name):
                named = chosen.params["store"]
                if ("iceberg" if named == SHARED else named) in mark.args:
                    reason = f"{name}: {mark.kwargs['reason']}"
                    item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
