"""Tables on Delta Lake or Apache Iceberg behind one interface."""

from __future__ import annotations
