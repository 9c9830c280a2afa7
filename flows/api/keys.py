"""Who asks: keys from the secret store, compared in constant time, and how often each may ask."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from flows.api.problems import Problem, Refusal
from storage import secrets
from storage.errors import ConfigurationError

HEADER = "X-API-Key"
SHORTEST_KEY = 16


class Role(StrEnum):
    """What a key is for."""

    write = "write"
    read = "read"


@dataclass(frozen=True)
class Keys:
    """The keys of each role, as digests: of equal length, and nothing to print."""

    digests: Mapping[Role, tuple[bytes, ...]]

    @classmethod
    def of(cls, names: Mapping[Role, str]) -> Keys:
        """The keys that the secrets of these names hold, separated by commas.

        Raises:
            ConfigurationError: A secret is not set, a key is short enough to be guessed, or has two roles.
        """
        found = {}
        for role, name in names.items():
            keys = [k.strip() for k in secrets.reveal(secrets.reference(name)).split(",")]
            keys = [key for key in keys if key]
            for key in keys:
                secrets.keep(key)
            if not keys or any(len(key) < SHORTEST_KEY for key in keys):
                raise ConfigurationError(
                    f"the secret {name} holds a key of fewer than {SHORTEST_KEY} characters",
                    advice="Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
                )
            found[role] = tuple(map(_digest, keys))
        held = [digest for digests in found.values() for digest in set(digests)]
        if len(held) > len(set(held)):
            raise ConfigurationError(
                f"the secrets {' and '.join(names.values())} hold the same key",
                advice="Make one for each role: a key may either write or read.",
            )
        return cls(found)

    def who(self, key: str | None, role: Role) -> bytes:
        """The digest of a key that has the role.

        Raises:
            Refusal: 401 for no key or an unknown one, 403 for one of another role.
        """
        given = _digest(key or "")
        roles = [r for r, known in self.digests.items() if _among(given, known)]
        if role in roles:
            return given
        if roles:
            raise Refusal(403, f"this key may not {role}", advice=f"Use a key of role {role}.")
        raise Refusal(
            401,
            "the key is not known" if key else "there is no key",
            advice=f"Send a key of role {role} in the header {HEADER}.",
            problems=[Problem(HEADER, "is missing" if not key else "is not known")],
            headers={"WWW-Authenticate": f"ApiKey header={HEADER}"},
        )


@dataclass
class RateLimit:
    """A bucket of tokens for each key: `burst` requests at once, `per_second` on average."""

    per_second: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    _buckets: dict[bytes, tuple[float, float]] = field(default_factory=dict)

    def take(self, who: bytes) -> None:
        """Count a request.

        Raises:
            Refusal: 429 with the seconds to wait, where there are too many.
        """
        now = self.clock()
        tokens, since = self._buckets.get(who, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - since) * self.per_second)
        if tokens < 1:
            self._buckets[who] = (tokens, now)
            wait = max(1, round((1 - tokens) / self.per_second))
            raise Refusal(
                429,
                f"more than {self.per_second:g} requests a second",
                advice="Send records in batches.",
                headers={"Retry-After": str(wait)},
            )
        self._buckets[who] = (tokens - 1, now)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _among(given: bytes, known: tuple[bytes, ...]) -> bool:
    """Compared with each, so that the time tells nothing."""
    return any([hmac.compare_digest(given, one) for one in known])  # noqa: C419
