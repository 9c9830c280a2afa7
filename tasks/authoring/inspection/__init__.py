"""What is wrong with a domain, found without data: its SQL, its checks, and what nobody uses."""

from __future__ import annotations
