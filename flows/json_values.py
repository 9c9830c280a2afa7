"""Values of tables as JSON has them: the same for the API and for commands with `--json`."""

from __future__ import annotations

import base64
import math
from datetime import date
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON has it.

    Decimals are text with all digits, instants ISO 8601, bytes base64; what is not a finite number is the
    text `nan`, `inf` or `-inf`, as bronze writes it.
    """
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return _text(value)


def _text(value: Any) -> Any:
    match value:
        case Decimal():
            return format(value, "f")
        case float() if not math.isfinite(value):
            return str(value)
        case date():
            return value.isoformat().replace("+00:00", "Z")
        case bytes():
            return base64.b64encode(value).decode()
    return value
