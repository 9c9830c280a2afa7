"""Real services on loopback, for tests and for people: one module a service, none needs root or Docker.

Each module has a context manager that starts its service in a folder and stops it with the block.
"""

from __future__ import annotations
