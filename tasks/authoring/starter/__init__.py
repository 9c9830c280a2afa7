"""A first domain written from one CSV file: what is in it, what that suggests, and the files that say so."""

from __future__ import annotations
