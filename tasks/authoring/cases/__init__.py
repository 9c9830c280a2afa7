"""Cases of a domain's SQL: rows given, rows expected."""

from __future__ import annotations
