"""Seeded generators of source data, one module a domain."""

from __future__ import annotations
