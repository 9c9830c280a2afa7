"""The steps of the pipeline as plain functions over a table store."""

from __future__ import annotations
