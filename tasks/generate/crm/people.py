"""Customers of the warehouse, the contacts that HubSpot has of them, and their deals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tasks.generate.crm.records import DAY, HOUR, MINUTE, Arrival, Streams, instant, money, zoned

_SEGMENTS = ("consumer", "business", "enterprise")
_COUNTRIES = ("US", "DE", "GB", "BR", "JP")
_NAMES = ("Ana", "Ben", "Chloé", "Dmitri", "Emre", "Fatima", "Günther", "Hana", "Ivo", "Jun")
_LAST = ("Almeida", "Brown", "Costa", "Dvořák", "Eriksen", "Fischer", "García", "Haddad", "Ito")
_STAGES = (
    "appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "decisionmakerboughtin",
    "contractsent",
)  # fmt: skip
_CHANGED, _LATE, _HAS_CONTACT, _DOUBLE = 0.4, 0.1, 0.7, 0.03
_FIRST_CONTACT, _FIRST_DEAL = 101, 5001


class Person(NamedTuple):
    """A customer, and the HubSpot contact of it, if there is one."""

    number: int
    created: int
    first: str
    last: str
    contact: int | None

    @property
    def customer_id(self) -> str:
        """Key in the warehouse."""
        return f"cus_{self.number:06}"

    @property
    def email(self) -> str:
        """As the warehouse has it, capital letters included."""
        return f"{self.first}.{self.last}{self.number}@example.com"


def people(streams: Streams, count: int) -> Iterator[Person]:
    """So many customers, most of them from before the first day's end."""
    rng = streams["people"]
    for number in range(1, count + 1):
        created = int(rng.random() ** 2 * 0.8 * streams.until)
        contact = _FIRST_CONTACT + number if rng.random() < _HAS_CONTACT else None
        yield Person(number, created, rng.choice(_NAMES), rng.choice(_LAST), contact)


def arrivals(streams: Streams, found: Sequence[Person]) -> Iterator[Arrival]:
    """Customers, contacts and deals, each state of each."""
    for person in found:
        yield from _customer(streams, person)
        if person.contact is not None:
            yield from _contact(streams, person, person.contact)
    yield from _deals(streams, [p for p in found if p.contact is not None])


def _customer(streams: Streams, person: Person) -> Iterator[Arrival]:
    rng = streams["customers"]
    state = {
        "customer_id": person.customer_id,
        "email": person.email,
        "segment": rng.choice(_SEGMENTS),
        "country": rng.choice(_COUNTRIES),
        "created_at": instant(person.created),
        "updated_at": instant(person.created),
    }
    late = rng.randrange(1, 3 * DAY) if rng.random() < _LATE else 0
    yield Arrival("customers", person.created + late, state)
    at = person.created
    while rng.random() < _CHANGED:
        at += rng.randrange(HOUR, 20 * DAY)
        if at >= streams.until:
            return
        changed = rng.choice(
            [
                {"segment": rng.choice(_SEGMENTS)},
                {"country": rng.choice(_COUNTRIES)},
                {"email": f"new.{person.email}"},
                {},
            ]
        )
        state = {**state, **changed, "updated_at": instant(at)}
        yield Arrival("customers", max(at, person.created + late), state)


def _contact(streams: Streams, person: Person, contact: int) -> Iterator[Arrival]:
    """A contact, in lower case; some people are in HubSpot twice."""
    rng = streams["contacts"]
    for number in (contact, 90_000 + contact)[: 1 + (rng.random() < _DOUBLE)]:
        at = person.created + rng.randrange(5 * DAY)
        state = {
            "id": str(number),
            "email": person.email.lower(),
            "firstname": person.first,
            "lastname": person.last,
            "lifecyclestage": "lead",
            "createdate": zoned(at),
            "lastmodifieddate": zoned(at),
        }
        if at < streams.until:
            yield Arrival("contacts", at, state)
        at += rng.randrange(HOUR, 20 * DAY)
        if at < streams.until:
            changed = {"lifecyclestage": "customer", "lastmodifieddate": zoned(at)}
            yield Arrival("contacts", at, {**state, **changed})


def _deals(streams: Streams, contacts: Sequence[Person]) -> Iterator[Arrival]:
    rng = streams["deals"]
    for number, person in enumerate(contacts, start=_FIRST_DEAL):
        at = person.created + rng.randrange(10 * DAY)
        created, cents = at, rng.randrange(100_00, 20_000_00)
        stages = [*_STAGES[: rng.randrange(1, len(_STAGES) + 1)]]
        if rng.random() < 0.2:
            stages.append(stages[0])
        if rng.random() < 0.6:
            stages.append(rng.choice(("closedwon", "closedlost")))
        for stage in stages:
            if at >= streams.until:
                break
            yield Arrival("deals", at, {
                "id": str(number),
                "dealname": f"{person.last} {number}",
                "amount": None if number % 17 == 0 else money(cents),
                "dealstage": stage,
                "pipeline": "default",
                "closedate": zoned(created + 30 * DAY),
                "contact_id": str(person.contact),
                "createdate": zoned(created),
                "hs_lastmodifieddate": zoned(at),
            })  # fmt: skip
            at += rng.randrange(30 * MINUTE, 12 * DAY)
