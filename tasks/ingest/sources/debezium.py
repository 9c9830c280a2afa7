"""Debezium change events, flattened as Debezium's own transformation `ExtractNewRecordState` does.

Field names and behaviour follow Debezium's documentation, "New Record State Extraction"
(https://debezium.io/documentation/reference/stable/transformations/event-flattening.html) with
`delete.tombstone.handling.mode=rewrite`: for create, read and update the values of `after`, for delete
those of `before`; `__deleted` is `true` or `false`; tombstones are removed. Metadata that the source
lists among its columns is added under the names that the option `add.fields` gives it: a double
underscore before the name, and `source_` or `transaction_` where the structure is named.

Values stay as Debezium encoded them; "Data change events" and "Data type mappings" of each connector's
page say how (https://debezium.io/documentation/reference/stable/connectors/postgresql.html).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IMAGES = {"c": "after", "r": "after", "u": "after", "d": "before"}
"""Which row image holds the values, by `op`: create, read (snapshot), update, delete."""
TOP_LEVEL = ("op", "ts_ms", "ts_us", "ts_ns")
STRUCTURES = ("source", "transaction")
DELETED = "__deleted"


def flattened(value: Any, columns: Sequence[str]) -> dict[str, Any] | None:
    """The row of one event, with the metadata that `columns` names; None for a tombstone.

    Args:
        value: A parsed line: the envelope, alone or as `payload` beside its `schema`; null, alone or as
            `payload`, is a tombstone, which carries nothing beyond the delete before it.
        columns: Columns of the source; those that begin with two underscores are metadata.

    Raises:
        ValueError: It is not a change of a row; the message says why.
    """
    event = _payload(value)
    if event is None:
        return None
    op = event.get("op")
    if op is None:
        raise ValueError("it is not a Debezium event: op is missing")
    if op == "t":
        raise ValueError("op 't' (truncate) names no row: load the table again")
    if not isinstance(op, str) or op not in IMAGES:
        raise ValueError(f"op {op!r} is none of {', '.join(IMAGES)}")
    image = IMAGES[op]
    row = event.get(image)
    if not isinstance(row, dict):
        hint = ": the database must log it (REPLICA IDENTITY)" if op == "d" else ""
        raise ValueError(f"op {op!r} comes without `{image}`{hint}")
    return {**row, **{c: _metadata(event, c) for c in columns if c.startswith("__")}}


def _payload(value: Any) -> Mapping[str, Any] | None:
    if isinstance(value, dict) and "payload" in value and "op" not in value:
        value = value["payload"]
    if value is not None and not isinstance(value, dict):
        raise ValueError("it is not a Debezium event")
    return value


def _metadata(event: Mapping[str, Any], column: str) -> Any:
    """The field that `add.fields` would add under this name; null where the event lacks it."""
    if column == DELETED:
        return event["op"] == "d"
    name = column.removeprefix("__")
    if name in TOP_LEVEL:
        return event.get(name)
    structure, _, field = name.partition("_")
    if structure not in STRUCTURES:
        structure, field = "source", name
    found = event.get(structure)
    return found.get(field) if isinstance(found, dict) else None
