"""Tables on Delta Lake, Apache Iceberg or plain Parquet behind one interface."""

from __future__ import annotations
