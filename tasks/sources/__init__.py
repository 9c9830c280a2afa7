"""Readers of what is delivered."""

from __future__ import annotations
