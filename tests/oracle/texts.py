"""Texts as they are delivered, and the value that each is as a type."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

EXACT: dict[str, dict[str, str | None]] = {
    "decimal(18,2)": {
        "1.005": None, "0.004": None, "1e-7": None, "1E400": None, "1e-9999": None, "1e-99999": None,
        "100e-5": None, "99999999999999999.00": None, "NaN": None, "abc": None,
        "12.34": "12.34", "1.10000": "1.10", ".5": "0.50", "5.": "5.00", "1e2": "100.00",
        "1.5e1": "15.00", "100e-4": "0.01", "0e-9": "0.00", "+1.20": "1.20", "0.000": "0.00",
        "1.23456e4": "12345.60", "9999999999999999.99": "9999999999999999.99",
    },
    "decimal(38,0)": {"1e37": "1" + "0" * 37, "1e38": None, "0.5": None, "1.0": "1"},
    "int": {
        "1": "1", "1.0": "1", "1.00": "1", "1e3": "1000", "10e-1": "1", "+7": "7", "0.0e5": "0", "-1.0": "-1",
        "1.5": None, "1e-1": None, "2147483648": None, "2147483648.0": None, "1e10": None, "1e400": None,
    },
    "bigint": {
        "9223372036854775807": "9223372036854775807", "9223372036854775807.0": "9223372036854775807",
        "9.007199254740991e+15": "9007199254740991", "9223372036854775808": None,
        "9.007199254740992e+15": None, "1.152921504606847e+18": None,
    },
    "double": {
        "0.1": "0.1", "1e308": "1e+308", "0e-400": "0.0", "1e-320": "1e-320",
        "0.1000000000000000055511151231257827": "0.1",
        "1e400": None, "-1e400": None, "1e-400": None, "NaN": None, "inf": None,
    },
    "timestamp": {
        "2026-03-01T10:00:00Z": "2026-03-01 10:00:00", "2026-03-01 10:00:00": "2026-03-01 10:00:00",
        "2026-03-01T10:00:00.123456789+02:00": "2026-03-01 08:00:00.123456",
        "2026-03-01 10:00:00.1234567-0130": "2026-03-01 11:30:00.123456",
        "2026-03-01 00:30:00+02": "2026-02-28 22:30:00",
        "2026-03-01T10:00:00.1230000000Z": "2026-03-01 10:00:00.123",
        "9999-12-31T23:59:59.9999999Z": "9999-12-31 23:59:59.999999",
        "9999-12-31T23:59:59-01:00": None, "0001-01-01T00:00:00+01:00": None, "0000-01-01 00:00:00": None,
        "2026-03-01T10:00:00 Z": None, "2026-03-01 10:00:00.": None, "2026-02-30T10:00:00Z": None,
        "2026-03-01T24:00:00Z": None, "infinity": None,
    },
    "date": {"2026-03-01": "2026-03-01", "0000-01-01": None, "2026-03-01 10:00:00": None, "infinity": None},
}  # fmt: skip
"""Texts of a type, and the value that each of them is; None for those that are kept out."""
ROUNDED = {
    "1.005": "1.01", "0.004": "0.00", "-1.005": "-1.01", "1e-7": "0.00", "1e-9999": "0.00",
    "1e400": None, "9999999999999999.995": None, "abc": None,
}  # fmt: skip


def spoken(value: object) -> str | None:
    """A value as the tables above write it."""
    if isinstance(value, datetime):
        plain = value.astimezone(UTC).replace(tzinfo=None)
        return str(plain).rstrip("0") if plain.microsecond else str(plain)
    return f"{value:f}" if isinstance(value, Decimal) else None if value is None else str(value)
