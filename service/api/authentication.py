"""Who asks, and how much of the service they may take."""

import asyncio
import contextlib
import ipaddress
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from pydantic import ValidationError

from service.api.problems import ProblemError
from service.api_keys import hash_key, matches, parse_key_id
from service.settings import KeyEntry, KeyLimits, Scope, Settings
from service.storage import ApiKey, Store, StoreError

log = logging.getLogger(__name__)
REFRESH = 4.0
"""Seconds between two readings of the keys: five after it was revoked, a key is of no use any more."""
LATE = 0.2
"""Seconds that a caller waits whose key is not known, before the store is asked once more."""
ANYONE = "anonymous"


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        id: of their key; `anonymous` where none is needed.
        scopes: what they may do.
        rate: requests a minute; None: any number.
        jobs: unfinished jobs at a time.
        share: of the queue that their architectures may fill, and of the event streams that they may have open.
    """

    id: str
    scopes: frozenset[Scope]
    rate: int | None
    jobs: int
    share: float

    @property
    def visible_owner(self) -> str | None:
        """Whose jobs they may see; None: everybody's."""
        return None if "admin" in self.scopes else self.id


class RateLimiter:
    """So many requests a minute, as many as come in ten seconds at once. By the monotonic clock: clocks jump."""

    def __init__(self, per_minute: int) -> None:
        self._each = 60.0 / per_minute
        self._ahead = max(self._each, 10.0)
        self._next = 0.0  # when all that came so far would have come at an even pace

    def wait(self) -> float:
        """Seconds until the next request may come; 0 where it may now, and then it is counted."""
        now = monotonic()
        following = max(self._next, now) + self._each
        if following - now > self._ahead:
            return following - now - self._ahead
        self._next = following
        return 0.0


class Authenticator:
    """The keys of the settings and of the store. For one event loop.

    Where there has never been one, or an operator said `archrank keys open` since, and the server listens on this
    machine alone, nobody needs one.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._keys: dict[str, KeyEntry] = {}
        self._anonymous = False
        self._callers: dict[str, Caller] = {}
        self._paces: dict[str, tuple[int, RateLimiter]] = {}
        self._reading: asyncio.Task[None] | None = None
        own = KeyLimits(max_active_jobs=settings.max_active_jobs, queue_share=1.0)
        self._anyone = self._caller(ANYONE, frozenset({"predict", "admin"}), own, None)

    async def watch(self) -> None:
        """Read the store's keys again and again."""
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await self.read()
            except StoreError as error:  # those that were read last go on to count
                log.error("the API keys cannot be read: %s", error)

    async def read(self) -> None:
        """Read the store's keys. Raises `StoreError`."""
        stored, anonymous = await asyncio.to_thread(self._stored)
        entries = [*self._settings.keys, *_entries(stored)]
        self._keys = {entry.id: entry for entry in entries}
        rate = self._settings.rate_limit
        self._callers = {one.id: self._caller(one.id, one.scopes, one.limits, rate) for one in entries}
        self._anonymous = anonymous and not entries and is_loopback(self._settings.host)

    def _stored(self) -> tuple[Sequence[ApiKey], bool]:
        keys = self._store.keys
        if self._settings.keys and keys.anonymous():
            keys.close()  # so that a server without these settings is not open either
        return keys.list(), keys.anonymous()

    def admits(self, caller: Caller) -> bool:
        """True while an admitted caller would be admitted again: the key is not revoked, or none is needed."""
        return self._anonymous if caller is self._anyone else caller.id in self._keys

    def _caller(self, id: str, scopes: frozenset[Scope], limits: KeyLimits, rate: int | None) -> Caller:  # noqa: A002
        settings = self._settings
        return Caller(
            id,
            scopes,
            rate if limits.rate_limit is None else limits.rate_limit,
            settings.max_active_jobs if limits.max_active_jobs is None else limits.max_active_jobs,
            settings.queue_share if limits.queue_share is None else limits.queue_share,
        )

    async def admit(self, authorization: str | None, scopes: Iterable[Scope]) -> Caller:
        """Who sends this header, where they have one of the scopes.

        Raises `ProblemError`: 401 without a key that counts, 403 without a scope, 429 where they come too often.
        """
        caller = await self._identified(authorization)
        if caller.scopes.isdisjoint(scopes):
            needed, has = " or ".join(sorted(scopes)), ", ".join(sorted(caller.scopes))
            raise ProblemError(403, f"the API key has scope {has}; this needs {needed}")
        if caller.rate is not None and (wait := self._pace(caller.id, caller.rate).wait()):
            detail = f"the API key may make {caller.rate} requests a minute; come again in {wait:.1f} s"
            raise ProblemError(429, detail, headers={"Retry-After": str(math.ceil(wait))})
        return caller

    async def _identified(self, authorization: str | None) -> Caller:
        if authorization is None and self._anonymous:
            return self._anyone
        scheme, _, key = (authorization or "").partition(" ")
        given = parse_key_id(key.strip()) if scheme.lower() == "bearer" else None
        if given is None:
            raise _unknown("an API key is needed: Authorization: Bearer ark_…")
        if given not in self._keys:  # made this moment, perhaps
            with contextlib.suppress(StoreError):
                await self._read_once()
        entry = self._keys.get(given)
        if entry is None:
            hash_key(key)  # as long as for a key that is known
            raise revoked()
        if not matches(entry, key.strip()):
            raise revoked()
        return self._callers[given]

    async def _read_once(self) -> None:
        """However many wait for it, and not at once, so that unknown keys do not keep the store busy."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_late())
        await asyncio.shield(self._reading)

    async def _read_late(self) -> None:
        await asyncio.sleep(LATE)
        await self.read()

    def _pace(self, id: str, rate: int) -> RateLimiter:  # noqa: A002
        known = self._paces.get(id)
        if known is None or known[0] != rate:
            known = self._paces[id] = (rate, RateLimiter(rate))
        return known[1]


def _entries(stored: Iterable[ApiKey]) -> Iterator[KeyEntry]:
    for one in stored:
        try:
            if one.revoked_at is None:
                yield KeyEntry.model_validate(one)
        except ValidationError:  # of a newer archrank, perhaps; no reason to turn the others away
            log.exception("API key %s cannot be read and does not count", one.id)


def revoked() -> ProblemError:
    """The answer to whoever has no key that counts, or none any more."""
    return _unknown("the API key is not known, or was revoked")


def _unknown(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
