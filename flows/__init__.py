"""Flows, and the command line that starts them.

Every process of the platform imports this package first: a command, a Prefect worker's run, the API.
"""

from __future__ import annotations

from storage.utc import use_utc

use_utc()
