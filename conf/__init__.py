"""Configuration: structured schemas, composed by Hydra in one place."""

from __future__ import annotations
