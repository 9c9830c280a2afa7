"""The CRM objects of the HubSpot server: their properties, instants, and the search over them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MODIFIED = {"contacts": "lastmodifieddate", "deals": "hs_lastmodifieddate"}
"""The property of each object type that holds when it was last changed."""
DEFAULTS = {
    "contacts": ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    "deals": ("amount", "closedate", "createdate", "dealname", "dealstage", "hs_lastmodifieddate",
              "hs_object_id", "pipeline"),
}  # fmt: skip
"""The properties that an answer has when a request names none."""


class RefusedError(Exception):
    """A request that HubSpot answers with status 400."""


@dataclass
class Stored:
    """One object of the CRM."""

    properties: dict[str, str | None]
    created: datetime
    updated: datetime
    archived: bool = False


@dataclass
class Objects:
    """The objects of one account, by type and id; any thread may change them."""

    _stored: dict[str, dict[str, Stored]] = field(
        default_factory=lambda: {kind: {} for kind in MODIFIED}
    )
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def put(
        self, kind: str, object_id: str, updated: datetime | str | None = None,
        **properties: str | None,
    ) -> None:  # fmt: skip
        """Create an object, or change the given properties of one.

        Args:
            kind: `contacts` or `deals`.
            object_id: Digits, as HubSpot gives them.
            updated: The instant of the change; now, where it is None.
            properties: Their new values.
        """
        at = datetime.fromisoformat(updated) if isinstance(updated, str) else updated
        at = (at or datetime.now(UTC)).astimezone(UTC)
        with self._lock:
            found = self._stored[kind].setdefault(object_id, Stored({}, at, at))
            found.updated = at
            found.properties |= properties | {
                "hs_object_id": object_id,
                "createdate": _text(found.created),
                MODIFIED[kind]: _text(at),
            }

    def archive(self, kind: str, object_id: str) -> None:
        """Put an object into the recycle bin; searches and lists leave it out from then on."""
        with self._lock:
            self._stored[kind][object_id].archived = True

    def clear(self) -> None:
        """Forget every object."""
        with self._lock:
            for objects in self._stored.values():
                objects.clear()

    def listed(
        self, kind: str, properties: Sequence[str], *, archived: bool = False
    ) -> list[dict[str, Any]]:
        """The objects in the order of their ids."""
        with self._lock:
            chosen = [i for i, one in self._stored[kind].items() if one.archived is archived]
            return [self._shown(kind, i, properties) for i in sorted(chosen, key=int)]

    def found(self, kind: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What a search finds, in its order.

        Raises:
            RefusedError: A filter is none that HubSpot knows.
        """
        groups = [group["filters"] for group in query.get("filterGroups") or ()]
        with self._lock:
            chosen = [
                (object_id, one.properties)
                for object_id, one in self._stored[kind].items()
                if not one.archived
                and (not groups or any(all(_holds(f, one.properties) for f in g) for g in groups))
            ]
            chosen.sort(key=lambda pair: int(pair[0]))
            for sort in reversed(query.get("sorts") or ()):
                name, down = sort["propertyName"], sort.get("direction") == "DESCENDING"
                chosen.sort(key=lambda pair: _ordered(pair[1].get(name)), reverse=down)
            wanted = query.get("properties") or ()
            return [self._shown(kind, object_id, wanted) for object_id, _ in chosen]

    def _shown(self, kind: str, object_id: str, properties: Sequence[str]) -> dict[str, Any]:
        one = self._stored[kind][object_id]
        own = ("createdate", "hs_object_id", MODIFIED[kind])
        names = {*properties, *own} if properties else DEFAULTS[kind]
        return {
            "id": object_id,
            "properties": {name: one.properties.get(name) for name in sorted(names)},
            "createdAt": _text(one.created),
            "updatedAt": _text(one.updated),
            "archived": one.archived,
        }


_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda value, wanted: value == wanted,
    "NEQ": lambda value, wanted: value != wanted,
    "GT": lambda value, wanted: value > wanted,
    "GTE": lambda value, wanted: value >= wanted,
    "LT": lambda value, wanted: value < wanted,
    "LTE": lambda value, wanted: value <= wanted,
}


def _holds(condition: Mapping[str, Any], properties: Mapping[str, str | None]) -> bool:
    """Whether an object meets one filter."""
    operator, value = condition["operator"], properties.get(condition["propertyName"])
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        return (value is not None) is (operator == "HAS_PROPERTY")
    if operator == "IN":
        return value in condition["values"]
    if operator not in _COMPARED:
        raise RefusedError(f"Invalid input JSON: {operator} is not an operator")
    return value is not None and _COMPARED[operator](*map(_ordered, (value, condition["value"])))


def _ordered(value: str | None) -> tuple[int, float, str]:
    """A value as it is compared: numbers and instants as milliseconds, before other text."""
    if value is None:
        return (2, 0.0, "")
    try:
        return (0, float(value), "")
    except ValueError:
        pass
    try:
        return (0, datetime.fromisoformat(value).timestamp() * 1000, "")
    except ValueError:
        return (1, 0.0, value)


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
