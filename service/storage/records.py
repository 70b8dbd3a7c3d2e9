"""What goes into the store and comes out of it. Times are in UTC and for people: order is told by numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

JobKind = Literal["predictions", "scores"]
JobState = Literal["queued", "running", "done", "cancelled", "failed"]
ItemState = Literal["queued", "running", "done", "failed"]
JsonObject = Mapping[str, Any]

JOB_KINDS: tuple[JobKind, ...] = ("predictions", "scores")
ACTIVE_STATES: tuple[JobState, ...] = ("queued", "running")
FINISHED_STATES: tuple[JobState, ...] = ("done", "cancelled", "failed")
"""A job in one of these changes no more."""


@dataclass(frozen=True)
class NewItem:
    """An architecture of a new job.

    Attributes:
        architecture: as it was posted.
        fingerprint: None where it could not be read.
        result: where it is known already; such an item counts as cached.
        error: where it could not be read.
    """

    architecture: JsonObject
    fingerprint: str | None
    result: JsonObject | None = None
    error: JsonObject | None = None


class Basis(NamedTuple):
    """The basis of all results of a job, fixed when it is posted.

    Attributes:
        ensemble: its name; None for scores on a server without ensembles.
        ensemble_hash: of its artifact.
        proxies: their versions by name; None for a job of an earlier archrank, which is not bound yet.
    """

    ensemble: str | None
    ensemble_hash: str | None
    proxies: dict[str, str] | None


UNBOUND = Basis(None, None, None)


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes:
        number: counts jobs up; what was created later has a higher one.
        id: how clients name it; nobody guesses it.
        owner: id of an API key, or `anonymous`.
        options: of its request.
        ensemble: see `Basis`; so are `ensemble_hash` and `proxies`.
        error: why it failed as a whole.
        total: items, which is `queued + running + done + failed`. The items that a cancelled or failed job left
            undone stay `queued` for good.
        cached: those of the done items whose result was known.
        events: id of its last event.
    """

    number: int
    id: str
    owner: str
    kind: JobKind
    options: dict[str, Any]
    ensemble: str | None
    ensemble_hash: str | None
    proxies: dict[str, str] | None
    idempotency_key: str | None
    state: JobState
    error: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    total: int
    queued: int
    running: int
    done: int
    failed: int
    cached: int
    events: int

    @property
    def basis(self) -> Basis:
        """All that it is bound to."""
        return Basis(self.ensemble, self.ensemble_hash, self.proxies)

    @property
    def complete(self) -> bool:
        """Whether it changes no more."""
        return self.state in FINISHED_STATES


@dataclass(frozen=True)
class Item:
    """One architecture of a job.

    Attributes:
        completion: 1 for the item of its job that was finished first; None while it is not.
        attempts: how often it was begun.
        result: of a done item.
        error: of a failed one.
    """

    position: int
    architecture: dict[str, Any]
    fingerprint: str | None
    state: ItemState
    attempts: int
    completion: int | None
    cached: bool
    result: dict[str, Any] | None
    error: dict[str, Any] | None


@dataclass(frozen=True)
class Page:
    """Some items.

    Attributes:
        after: what to ask for next.
        complete: whether nothing comes after these, now or later.
    """

    items: list[Item]
    after: int
    complete: bool


class JobCounts(NamedTuple):
    """Numbers of jobs, of their items that wait, and of those that run."""

    jobs: int
    queued: int
    running: int


@dataclass(frozen=True)
class Claim:
    """An item that one worker has to itself until it is finished or requeued.

    Attributes:
        job: as it was when the item was claimed.
        attempts: how often it was begun before.
        lease: tells this claim from others of the same item, so that one that was lost has no say any more.
    """

    job: Job
    position: int
    architecture: dict[str, Any]
    fingerprint: str | None
    attempts: int
    lease: int


@dataclass(frozen=True)
class Outcome:
    """How a claimed item ended: one of `result` and `error`."""

    claim: Claim
    result: JsonObject | None = None
    error: JsonObject | None = None
    cached: bool = False


@dataclass(frozen=True)
class Event:
    """What happened to a job.

    Attributes:
        id: counts the job's events up from 1 without a gap.
        kind: `created`, `started`, `item`, or the state that it ended in, which is the last event.
        data: of `item` its `position`, `state` and `completion`; of all others the job's counts.
    """

    id: int
    kind: str
    data: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class Requeued:
    """What became of items whose worker is gone: numbers of those that wait again, and of those given up."""

    queued: int
    failed: int


@dataclass(frozen=True)
class ApiKey:
    """An API key; the key itself is not kept.

    Attributes:
        prefix: the part of the key by which it is looked up.
        hash: of the key.
        limits: by name.
    """

    number: int
    id: str
    prefix: str
    name: str
    hash: str = field(repr=False)
    scopes: list[str]
    limits: dict[str, Any]
    created_at: datetime
    revoked_at: datetime | None
