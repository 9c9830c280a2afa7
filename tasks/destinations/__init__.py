"""Gold tables merged by key into other databases."""

from __future__ import annotations
