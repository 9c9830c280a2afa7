"""Time in this process is UTC, whatever zone the machine is in."""

from __future__ import annotations

import os
import time


def use_utc() -> None:
    """Make UTC the local time of this process and of those that it starts, the JVM among them.

    Libraries hand on instants without a zone, in local time: PySpark's rows, drivers of databases, logs.
    """
    os.environ["TZ"] = "UTC"
    time.tzset()
