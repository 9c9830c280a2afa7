"""Any order, any number of times: generated event logs, a plain model, and the engine beside it."""

from __future__ import annotations
