"""The cycle collector is paused while records are read.

Records are many small objects without cycles. The collector walks all of them again and again, which takes
half of the time of reading a CSV file; without it they are freed all the same, by their reference counts.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_inside = 0
_was_on = True


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause it for this process while any thread is inside; one that was off already stays off."""
    global _inside, _was_on  # noqa: PLW0603 - the collector belongs to the process
    with _LOCK:
        if _inside == 0:
            _was_on = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0 and _was_on:
                gc.enable()
