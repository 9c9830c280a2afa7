"""The services as fixtures: each is started by the first test of the process that asks for it."""

from __future__ import annotations
