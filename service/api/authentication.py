"""Authentication of requests by API key, and the rate limits of keys."""

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
REFRESH_INTERVAL_S = 4.0
"""Interval between reads of the store's keys; a revoked key is refused after five seconds at the latest."""
UNKNOWN_KEY_DELAY_S = 0.2
"""Delay before the store is read for a request with an unknown key."""
BURST_S = 10.0
"""Duration whose requests a key may send at once."""
ANONYMOUS = "anonymous"


@dataclass(frozen=True)
class Caller:
    """Sender of a request.

    Attributes:
        id: id of the API key; `anonymous` without one.
        scopes: scopes of the key.
        rate_limit: requests a minute; None: unlimited.
        max_active_jobs: unfinished jobs.
        queue_share: fraction of the queue and of the event streams.
    """

    id: str
    scopes: frozenset[Scope]
    rate_limit: int | None
    max_active_jobs: int
    queue_share: float

    @property
    def visible_owner(self) -> str | None:
        """Owner whose jobs are visible to the caller; None: every owner."""
        return None if "admin" in self.scopes else self.id


class RateLimiter:
    """Token bucket: `rate_limit` requests a minute, bursts of ten seconds' worth.

    Implemented as the generic cell rate algorithm (ITU-T I.371) on the monotonic clock, as wall clocks jump.

    Args:
        rate_limit: requests a minute.
    """

    def __init__(self, rate_limit: int) -> None:
        self._interval = 60.0 / rate_limit
        self._tolerance = max(self._interval, BURST_S)
        self._next = 0.0  # theoretical arrival time of the next request

    def acquire(self) -> float:
        """Count a request if it conforms to the limit.

        Returns:
            Seconds to wait before the next attempt; 0 if the request was counted.
        """
        now = monotonic()
        following = max(self._next, now) + self._interval
        if following - now > self._tolerance:
            return following - now - self._tolerance
        self._next = following
        return 0.0


class Authenticator:
    """API keys of the settings and of the store. For one event loop.

    Requests without a key are accepted if the server listens on a loopback address and no key has ever been created,
    or none since `archrank keys open`.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._entries: dict[str, KeyEntry] = {}
        self._callers: dict[str, Caller] = {}
        self._limiters: dict[str, tuple[int, RateLimiter]] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._accepts_anonymous = False
        limits = KeyLimits(max_active_jobs=settings.max_active_jobs, queue_share=1.0)
        self._anonymous = self._caller(ANONYMOUS, frozenset({"predict", "admin"}), limits, None)

    async def refresh_periodically(self) -> None:
        """Read the store's keys every `REFRESH_INTERVAL_S`, until cancelled. Keeps the last ones on failure."""
        while True:
            await asyncio.sleep(REFRESH_INTERVAL_S)
            try:
                await self.refresh()
            except StoreError as error:
                log.error("the API keys cannot be read: %s", error)

    async def refresh(self) -> None:
        """Read the store's keys. Raises `StoreError`."""
        stored, accepts_anonymous = await asyncio.to_thread(self._read)
        entries = [*self._settings.keys, *_valid_entries(stored)]
        self._entries = {entry.id: entry for entry in entries}
        default = self._settings.rate_limit
        self._callers = {entry.id: self._caller(entry.id, entry.scopes, entry.limits, default) for entry in entries}
        self._accepts_anonymous = accepts_anonymous and not entries and is_loopback(self._settings.host)

    async def authenticate(self, authorization: str | None, scopes: Iterable[Scope]) -> Caller:
        """Authenticate a request, and count it against the caller's rate limit.

        Args:
            authorization: `Authorization` header.
            scopes: scopes of which the caller needs one.

        Raises:
            ProblemError: 401 without a valid key, 403 without a scope, 429 above the rate limit.
        """
        caller = await self._identify(authorization)
        if caller.scopes.isdisjoint(scopes):
            needed, present = " or ".join(sorted(scopes)), ", ".join(sorted(caller.scopes))
            raise ProblemError(403, f"the API key has scope {present}; this needs {needed}")
        if caller.rate_limit is not None and (wait := self._limiter(caller.id, caller.rate_limit).acquire()):
            detail = f"the API key may make {caller.rate_limit} requests a minute; retry in {wait:.1f} s"
            raise ProblemError(429, detail, headers={"Retry-After": str(math.ceil(wait))})
        return caller

    def is_valid(self, caller: Caller) -> bool:
        """Return whether an authenticated caller would be accepted again: its key is not revoked, or none is needed."""
        return self._accepts_anonymous if caller is self._anonymous else caller.id in self._entries

    def _read(self) -> tuple[Sequence[ApiKey], bool]:
        keys = self._store.keys
        if self._settings.keys and keys.anonymous():
            keys.close()  # so that a server without these settings does not accept requests without a key either
        return keys.list(), keys.anonymous()

    def _caller(self, id: str, scopes: frozenset[Scope], limits: KeyLimits, default: int | None) -> Caller:  # noqa: A002
        settings = self._settings
        return Caller(
            id,
            scopes,
            default if limits.rate_limit is None else limits.rate_limit,
            settings.max_active_jobs if limits.max_active_jobs is None else limits.max_active_jobs,
            settings.queue_share if limits.queue_share is None else limits.queue_share,
        )

    async def _identify(self, authorization: str | None) -> Caller:
        if authorization is None and self._accepts_anonymous:
            return self._anonymous
        scheme, _, key = (authorization or "").partition(" ")
        id = parse_key_id(key.strip()) if scheme.lower() == "bearer" else None  # noqa: A001
        if id is None:
            raise _unauthorized("an API key is needed: Authorization: Bearer ark_…")
        if id not in self._entries:  # it may have been created since the last refresh
            with contextlib.suppress(StoreError):
                await self._refresh_once()
        entry = self._entries.get(id)
        if entry is None:
            hash_key(key)  # takes as long as for a known key
            raise invalid_key()
        if not matches(entry, key.strip()):
            raise invalid_key()
        return self._callers[id]

    async def _refresh_once(self) -> None:
        """Refresh for all waiting requests together, after a delay, so that unknown keys cannot load the store."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh_later())
        await asyncio.shield(self._refreshing)

    async def _refresh_later(self) -> None:
        await asyncio.sleep(UNKNOWN_KEY_DELAY_S)
        await self.refresh()

    def _limiter(self, id: str, rate_limit: int) -> RateLimiter:  # noqa: A002
        entry = self._limiters.get(id)
        if entry is None or entry[0] != rate_limit:
            entry = self._limiters[id] = (rate_limit, RateLimiter(rate_limit))
        return entry[1]


def _valid_entries(keys: Iterable[ApiKey]) -> Iterator[KeyEntry]:
    for key in keys:
        try:
            if key.revoked_at is None:
                yield KeyEntry.model_validate(key)
        except ValidationError:  # perhaps written by a newer version; the other keys stay valid
            log.exception("API key %s is ignored, as its entry is invalid", key.id)


def invalid_key() -> ProblemError:
    """Return the response to an unknown or revoked key."""
    return _unauthorized("the API key is not known, or was revoked")


def _unauthorized(detail: str) -> ProblemError:
    return ProblemError(401, detail, headers={"WWW-Authenticate": "Bearer"})


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
