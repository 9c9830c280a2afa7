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


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause it for this process while any thread is inside; one that was off already stays off."""
    global _inside  # noqa: PLW0603 - the collector belongs to the process
    with _LOCK:
        if _inside == 0 and not gc.isenabled():
            owned = False
        else:
            owned = True
            _inside += 1
            gc.disable()
    try:
        yield
    finally:
        if owned:
            with _LOCK:
                _inside -= 1
                if _inside == 0:
                    gc.enable()
