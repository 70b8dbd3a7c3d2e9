"""The interface of a backend. Nothing here imports PyTorch: a spawned process reads it before it chooses its device."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any, Literal

from service.failures import FailureKind

OUT_OF_MEMORY = "out of memory"
"""How the error of a score begins that failed for want of memory."""
ProcessState = Literal["starting", "idle", "busy", "ending", "waiting", "stopped"]
"""`ending`: killed, and not yet gone. `waiting`: until the next attempt to start it."""
BackendState = Literal["starting", "ready", "unhealthy", "draining", "stopped"]


@dataclass(frozen=True)
class Task:
    """One architecture to score, as plain JSON data.

    Attributes:
        id: names the task among those that the backend holds.
        space: name of the search space.
        settings: of the search space.
        architecture: as `SearchSpace.to_json` gives it.
        probe: under which the backend was given the probe batch.
        seed: of the initial weights and of the draws.
        repeats: number of random draws that zen averages.
        proxies: names.
    """

    id: str
    space: str
    settings: Mapping[str, Any]
    architecture: Any
    probe: str
    seed: int
    repeats: int
    proxies: Sequence[str]

    def to_json(self) -> str:
        """The task in one line. Raises `InputError` where something in it is no JSON data."""
        try:
            return json.dumps(asdict(self), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            from common.errors import InputError

            raise InputError("task", self.id, f"plain JSON data ({error})") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> "Task":
        """The task that `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Failure:
    """Why there are no scores. `kind` is for programs, `detail` a sentence for people."""

    kind: FailureKind
    detail: str


@dataclass(frozen=True)
class Outcome:
    """What became of a task, as plain JSON data: either scores or a failure.

    Attributes:
        task: its id.
        scores: by proxy, the fields of `proxies.Score`, in the order asked; a proxy may have failed alone.
        seconds: what the last try took.
        failure: why there are no scores.
        tries: how often it was begun.
        process: index of the process that answered.
    """

    task: str
    scores: Mapping[str, Mapping[str, Any]] | None
    seconds: float
    failure: Failure | None = None
    tries: int = 1
    process: int | None = None

    def to_json(self) -> str:
        """The outcome in one line. Raises `ValueError` for a number that is not finite."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def of(cls, fields: Any) -> "Outcome":
        """The outcome from the data that `to_json` wrote. Raises `ValueError` for anything else."""
        try:
            outcome = cls(**fields | {"failure": fields["failure"] and Failure(**fields["failure"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"no outcome: {error}") from error
        scores = {} if outcome.scores is None else outcome.scores
        if (outcome.scores is None) == (outcome.failure is None) or not all(
            isinstance(one, dict) for one in scores.values()
        ):
            raise ValueError("an outcome has either scores by proxy or a failure")
        return outcome

    @property
    def damage(self) -> FailureKind | None:
        """What makes the process that scored unfit for the next task, which may be so even where there are scores."""
        if self.failure is not None:
            return self.failure.kind if self.failure.kind in ("out_of_memory", "device_error") else None
        errors = [str(score.get("error")) for score in (self.scores or {}).values()]
        return "out_of_memory" if any(error.startswith(OUT_OF_MEMORY) for error in errors) else None


@dataclass(frozen=True)
class ProcessHealth:
    """One process.

    Attributes:
        index: which of the backend's processes.
        device: `cpu`, or the GPU as in CUDA_VISIBLE_DEVICES.
        state: what it does.
        pid: None while there is none.
        task: id of the task that it works on.
        seconds: since when it works on that.
        restarts: how often it was replaced for a fault or a cancelled task.
        recycled: how often it was replaced as a matter of course.
        done: tasks that it and its predecessors answered.
        last_error: the last fault.
    """

    index: int
    device: str
    state: ProcessState
    pid: int | None
    task: str | None
    seconds: float | None
    restarts: int
    recycled: int
    done: int
    last_error: str | None


@dataclass(frozen=True)
class Health:
    """A backend.

    Attributes:
        state: `starting` until a process is ready; `unhealthy` while none can be started, which is tried all the same.
        processes: each of them.
        waiting: tasks that wait for a process.
        restarts: processes replaced for a fault or a cancelled task.
        out_of_memory: how often a task ran out of memory.
        deadlines: how often a task was over its deadline.
        last_error: why it is unhealthy.
    """

    state: BackendState
    processes: Sequence[ProcessHealth]
    waiting: int = 0
    restarts: int = 0
    out_of_memory: int = 0
    deadlines: int = 0
    last_error: str | None = None


class Backend(ABC):
    """Scores tasks. Its methods may be called from any thread; futures resolve in a thread of the backend's own."""

    @abstractmethod
    def start(self) -> None:
        """Begin to get ready, and return; `ready` says when. A backend starts once."""

    @abstractmethod
    def submit(self, task: Task) -> "Future[Outcome]":
        """Take the task. Its future always gets an outcome, never an exception, and cannot be cancelled by itself.

        Raises:
            RefusedError: the backend has no capacity left, or is not at work.
            InputError: the task is no plain JSON data, or the backend holds one with that id.
        """

    @abstractmethod
    def cancel(self, task_id: str) -> bool:
        """Give the task up, with outcome `cancelled`. False where the backend holds none with that id (any more)."""

    @property
    @abstractmethod
    def capacity(self) -> int:
        """How many tasks it would take now: no more than keep it busy, so that the rest can be ordered elsewhere."""

    @abstractmethod
    def health(self) -> Health:
        """How it is."""

    @property
    def ready(self) -> bool:
        """Whether a process has been ready, and not all of them fail to start since."""
        return self.health().state == "ready"

    @abstractmethod
    def drain(self, timeout: float) -> None:
        """Take no more, let what runs finish for `timeout` seconds, and give up the rest, as `interrupted`.

        Blocks; not to be called from a future's callback, and nor is `stop`.
        """

    @abstractmethod
    def stop(self) -> None:
        """Give up everything, as `interrupted`, and end the processes. May be called again."""
