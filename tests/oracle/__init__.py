"""Independent computations that the engine's answers are compared with."""

from __future__ import annotations
