"""Quality gates: SodaCL checks, the engine that runs them, and the verdict on results."""

from __future__ import annotations
