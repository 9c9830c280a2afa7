"""Flows, and the command line that starts them."""

from __future__ import annotations
