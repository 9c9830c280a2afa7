from __future__ import annotations

from collections.abc import Iterator

import pytest

from storage import masking


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    """What a test reveals is not masked in the next one."""
    masking.forget()
    yield
    masking.forget()
