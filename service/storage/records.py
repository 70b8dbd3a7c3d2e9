"""Records that go into the store and come out of it. Times are in UTC and informative: numbers define the order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

JobKind = Literal["predictions", "scores"]
JobState = Literal["queued", "running", "done", "cancelled", "failed"]
JsonObject = Mapping[str, Any]

JOB_KINDS: tuple[JobKind, ...] = ("predictions", "scores")
ACTIVE_STATES: tuple[JobState, ...] = ("queued", "running")
FINISHED_STATES: tuple[JobState, ...] = ("done", "cancelled", "failed")
"""Final states of a job."""
ITEMS_WITHOUT_NETWORK_PER_TURN = 16
"""Items of one turn if no network is built for them: each takes less than a hundredth of the time of another."""


@dataclass(frozen=True)
class NewItem:
    """An architecture of a new job.

    Attributes:
        architecture: the architecture as posted.
        fingerprint: fingerprint of the architecture; None if it is invalid.
        result: result that is already known; the item counts as cached.
        error: error of an invalid architecture.
    """

    architecture: JsonObject
    fingerprint: str | None
    result: JsonObject | None = None
    error: JsonObject | None = None


class Basis(NamedTuple):
    """Basis of all results of a job, fixed when the job is created.

    Attributes:
        ensemble: name of the ensemble; None for scores on a server without ensembles.
        ensemble_hash: hash of the ensemble's artifact.
        proxies: versions of the proxies by name; None for a job of an earlier version that is not bound yet.
    """

    ensemble: str | None
    ensemble_hash: str | None
    proxies: dict[str, str] | None


UNBOUND = Basis(None, None, None)


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes:
        number: consecutive number, in the order of creation.
        id: random identifier, used by clients.
        owner: id of an API key, or `anonymous`.
        kind: kind of the results.
        options: fields of the request other than its architectures.
        ensemble: see `Basis`.
        ensemble_hash: see `Basis`.
        proxies: see `Basis`.
        idempotency_key: key chosen by the client; None if it has chosen none.
        state: state of the job.
        error: error of the job as a whole.
        created_at: time of creation.
        started_at: time at which the first item was claimed.
        finished_at: time at which the job reached a final state.
        total: number of items, `queued + running + done + failed`.
        queued: number of queued items. Unfinished items of a cancelled or failed job stay queued.
        running: number of claimed items.
        done: number of items with a result.
        failed: number of items with an error.
        cached: number of items with a result that was already known.
        events: id of the last event.
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
        """Basis of all results."""
        return Basis(self.ensemble, self.ensemble_hash, self.proxies)

    @property
    def items_per_turn(self) -> int:
        """Number of items that its owner has processed at a turn."""
        return items_per_turn(self.options, self.proxies)

    @property
    def complete(self) -> bool:
        """True in a final state."""
        return self.state in FINISHED_STATES


@dataclass(frozen=True)
class Item:
    """A finished item of a job.

    Attributes:
        position: position in the request, from 0.
        completion: rank in the order of completion, from 1.
        result: result of a done item.
        error: error of a failed item.
    """

    position: int
    completion: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None


@dataclass(frozen=True)
class ItemPage:
    """A page of items.

    Attributes:
        items: the items.
        after: cursor of the next page.
        complete: True if no items follow, now or later.
    """

    items: list[Item]
    after: int
    complete: bool


class StateCounts(NamedTuple):
    """Numbers of the jobs in one state, and of their queued and running items."""

    jobs: int
    queued: int
    running: int


@dataclass(frozen=True)
class Claim:
    """An item that one server holds until it is settled or requeued.

    Attributes:
        job: the job at the time of the claim.
        position: position of the item in the job.
        architecture: architecture of the item.
        fingerprint: fingerprint of the architecture.
        attempts: number of earlier attempts.
        lease: identifies this claim among those of the same item; an expired claim has no effect.
    """

    job: Job
    position: int
    architecture: dict[str, Any]
    fingerprint: str | None
    attempts: int
    lease: int


@dataclass(frozen=True)
class ItemOutcome:
    """Outcome of a claimed item: either a result or an error.

    Attributes:
        claim: the claim of the item.
        result: result of the item.
        error: error of the item.
        cached: True if the result was already known.
    """

    claim: Claim
    result: JsonObject | None = None
    error: JsonObject | None = None
    cached: bool = False


def items_per_turn(options: JsonObject, proxies: Mapping[str, str] | None) -> int:
    """Return the number of a job's items that are claimed at one turn of its owner.

    Args:
        options: fields of the request other than its architectures.
        proxies: versions of the proxies by name; None if they are not known.
    """
    return 1 if proxies is None or proxies or options.get("explain") else ITEMS_WITHOUT_NETWORK_PER_TURN


@dataclass(frozen=True)
class JobEvent:
    """An event of a job.

    Attributes:
        id: consecutive number within the job, from 1.
        kind: `created`, `started`, `item`, or the final state of the job, which is the last event.
        data: `position`, `state` and `completion` of an `item` event; the job's counts otherwise.
        created_at: time of the event.
    """

    id: int
    kind: str
    data: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class RequeueResult:
    """Numbers of the items of lost servers that were queued again, and that failed.

    Attributes:
        queued: number of items that were queued again.
        failed: number of items that have reached the maximum number of attempts.
    """

    queued: int
    failed: int


@dataclass(frozen=True)
class ApiKey:
    """An API key. Only its hash is stored.

    Attributes:
        number: consecutive number.
        id: public identifier.
        name: name of the user.
        hash: hash of the key.
        scopes: names of the permitted scopes.
        limits: limits by name.
        created_at: time of creation.
        revoked_at: time of revocation; None for a valid key.
    """

    number: int
    id: str
    name: str
    hash: str = field(repr=False)
    scopes: list[str]
    limits: dict[str, Any]
    created_at: datetime
    revoked_at: datetime | None
