"""Interface of the backends. It imports no PyTorch, since a worker chooses its device after reading this module."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any, Literal

from common.errors import InputError
from service.failures import FailureKind

OUT_OF_MEMORY = "out of memory"
"""Prefix of the error of a score that failed for lack of memory."""
WorkerState = Literal["pending", "starting", "idle", "busy", "stopping", "backoff", "stopped"]
"""State of a worker.

pending: waiting for a place in a cluster.
stopping: killed, but still alive.
backoff: waiting for the next attempt to start.
stopped: not in use.
"""
BackendState = Literal["starting", "ready", "unhealthy", "draining", "stopped"]


@dataclass(frozen=True)
class Task:
    """One architecture to score, as JSON data.

    Attributes:
        id: identifier, unique among the tasks that the backend holds.
        space: name of the search space.
        settings: settings of the search space.
        architecture: the architecture, as returned by `SearchSpace.to_json`.
        probe_batch: fingerprint of the probe batch.
        batch_fields: fields of the batch's specification, from which a worker makes it; None for one of the backend's
            own batches.
        seed: seed of the initial weights and random inputs.
        repeats: number of random inputs that a proxy averages over.
        proxies: names of the proxies.
    """

    id: str
    space: str
    settings: Mapping[str, Any]
    architecture: Any
    probe_batch: str
    seed: int
    repeats: int
    proxies: Sequence[str]
    batch_fields: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """Serialise the task to one line. Raises `InputError` if a field is not JSON data."""
        try:
            return json.dumps(asdict(self), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError("task", self.id, f"plain JSON data ({error})") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> "Task":
        """Deserialise a task."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Failure:
    """Reason why a task has no scores.

    Attributes:
        kind: kind of failure, for programs.
        detail: description, for people.
    """

    kind: FailureKind
    detail: str


@dataclass(frozen=True)
class TaskOutcome:
    """Outcome of a task, as JSON data: either scores or a failure.

    Attributes:
        task: id of the task.
        scores: fields of `proxies.Score` by proxy, in the requested order; single proxies may have failed.
        seconds: duration of the last attempt.
        failure: reason why there are no scores.
        attempts: number of attempts.
        worker: index of the worker that replied.
    """

    task: str
    scores: Mapping[str, Mapping[str, Any]] | None
    seconds: float
    failure: Failure | None = None
    attempts: int = 1
    worker: int | None = None

    def to_json(self) -> str:
        """Serialise the outcome to one line. Raises `ValueError` for a number that is not finite."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_fields(cls, fields: Any) -> "TaskOutcome":
        """Build an outcome from the deserialised text of `to_json`. Raises `ValueError` for anything else."""
        try:
            outcome = cls(**fields | {"failure": fields["failure"] and Failure(**fields["failure"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not an outcome: {error}") from error
        scores = {} if outcome.scores is None else outcome.scores
        if (outcome.scores is None) == (outcome.failure is None) or not all(
            isinstance(score, dict) for score in scores.values()
        ):
            raise ValueError("an outcome has either scores by proxy or a failure")
        return outcome

    @property
    def damage(self) -> FailureKind | None:
        """Reason why the worker must be replaced, even if the outcome has scores; None if it is unharmed."""
        if self.failure is not None:
            return self.failure.kind if self.failure.kind in ("out_of_memory", "device_error") else None
        errors = [str(score.get("error")) for score in (self.scores or {}).values()]
        return "out_of_memory" if any(error.startswith(OUT_OF_MEMORY) for error in errors) else None


@dataclass(frozen=True)
class WorkerHealth:
    """Health of a worker.

    Attributes:
        index: index among the backend's workers.
        device: `cpu`, or the GPU as in CUDA_VISIBLE_DEVICES.
        state: state of the worker.
        pid: process id; None without a process.
        task: id of the task in progress.
        seconds: duration of the task in progress.
        restarts: number of processes replaced after a failure or a cancellation.
        recycled: number of processes replaced on schedule.
        done: number of tasks completed, including those of earlier processes.
        last_error: latest failure.
        node: id of the cluster's node with the process; None outside of clusters.
        address: network address of the node.
    """

    index: int
    device: str
    state: WorkerState
    pid: int | None
    task: str | None
    seconds: float | None
    restarts: int
    recycled: int
    done: int
    last_error: str | None
    node: str | None = None
    address: str | None = None


@dataclass(frozen=True)
class BackendHealth:
    """Health of a backend.

    Attributes:
        state: `starting` until a worker is ready; `unhealthy` while no worker can be started.
        workers: health of each worker.
        queued: number of queued tasks.
        restarts: number of processes replaced after a failure or a cancellation.
        out_of_memory: number of tasks that ran out of memory.
        timeouts: number of tasks that exceeded their timeout.
        node_losses: number of workers lost with the cluster's node that they were on.
        oldest_task_seconds: age of the oldest task; 0 without tasks.
        last_error: latest failure of an unhealthy backend.
    """

    state: BackendState
    workers: Sequence[WorkerHealth]
    queued: int = 0
    restarts: int = 0
    out_of_memory: int = 0
    timeouts: int = 0
    node_losses: int = 0
    oldest_task_seconds: float = 0.0
    last_error: str | None = None


class Backend(ABC):
    """Scores tasks. Thread-safe; futures are resolved in a thread of the backend."""

    @abstractmethod
    def start(self) -> None:
        """Start without waiting until the backend is `ready`. A backend starts once."""

    @abstractmethod
    def submit(self, task: Task) -> "Future[TaskOutcome]":
        """Submit a task. Its future always resolves to an outcome; `cancel` cancels it.

        Raises:
            TaskRejectedError: the backend has no capacity for the task, or is not running.
            InputError: the task is not JSON data, or the backend holds another with its id.
        """

    @abstractmethod
    def cancel(self, task_id: str) -> bool:
        """Cancel a task, which resolves to the failure `cancelled`. Return False if the backend does not hold it."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Number of tasks that would be accepted now: enough to keep all workers busy, and no more."""

    @abstractmethod
    def health(self) -> BackendHealth:
        """Return the health of the backend."""

    @property
    @abstractmethod
    def state(self) -> BackendState:
        """State of the backend, which is cheaper than its health."""

    @property
    def ready(self) -> bool:
        """True once a worker has been ready, unless none can be started any more."""
        return self.state == "ready"

    @abstractmethod
    def drain(self, timeout: float) -> None:
        """Reject new tasks, wait for running ones, and interrupt those that remain after `timeout` seconds.

        Blocks. Neither this method nor `stop` may be called from a callback of a future.
        """

    @abstractmethod
    def stop(self) -> None:
        """Interrupt all tasks and end the workers. Idempotent."""
