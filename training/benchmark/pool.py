"""Pool of workers that train: each is driven by a thread, so that one loop handles all that happens."""

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

from common.errors import ArchrankError
from models import SearchSpace
from training.benchmark.results import result_from_json
from training.benchmark.specification import Training
from training.benchmark.task_trainer import EpochCallback
from training.record import TrainingError, TrainingResult

MAX_ATTEMPTS = 2
"""Attempts at a training whose worker crashes; the second one is on a fresh process and goes on from the checkpoint."""


class WorkerStartError(ArchrankError):
    """A worker cannot start, so that no training can."""


class WorkerCrashError(ArchrankError):
    """A worker ended during a training."""


class WorkerTimeoutError(ArchrankError):
    """A training took too long."""


class Worker(Protocol):
    """Trains one architecture at a time, in a process of its own."""

    def start(self) -> bool:
        """Start the process, and wait until it has loaded the data. `train` does so if it was not called before.

        Returns:
            False if the worker was stopped before.

        Raises:
            WorkerStartError: the process cannot start.
        """

    def train(self, task: Mapping[str, Any], on_epoch: EpochCallback) -> dict[str, Any] | None:
        """Train an architecture.

        Args:
            task: see `TaskTrainer.train`.
            on_epoch: called after each epoch.

        Returns:
            The result as JSON; None if the training was stopped.

        Raises:
            WorkerStartError: the process cannot start.
            WorkerCrashError: the process ended; the next call starts another one.
            WorkerTimeoutError: the training took too long.
        """

    def stop(self) -> None:
        """Stop after the current epoch. Called from any thread."""

    def kill(self) -> None:
        """Stop at once; the epoch is lost. Called from any thread."""

    def close(self) -> None:
        """End the process, which does not train."""


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of a training has ended, and its checkpoint is written.

    Attributes:
        training: the training.
        epochs_done: number of completed epochs.
    """

    training: Training
    epochs_done: int


@dataclass(frozen=True)
class TrainingEnded:
    """A training has ended, or failed.

    Attributes:
        training: the training.
        result: its result.
        environment: device, threads and versions; None after a crash or a time-out.
    """

    training: Training
    result: TrainingResult
    environment: dict[str, Any] | None = None


Event = EpochEnded | TrainingEnded


class TrainingPool:
    """Runs trainings on workers.

    Args:
        space: search space of the architectures.
        workers: the workers.
        checkpoints: folder of the checkpoints.
    """

    def __init__(self, space: SearchSpace[Any], workers: Sequence[Worker], checkpoints: Path) -> None:
        self._space, self._workers, self._checkpoints = space, workers, checkpoints
        self._waiting: deque[Training] = deque()
        self._events: SimpleQueue[Event | BaseException | None] = SimpleQueue()
        self._stopping = False

    def start(self) -> bool:
        """Start the first worker; the others start with their first training.

        Returns:
            False if the pool was stopped before.

        Raises:
            WorkerStartError: it cannot start.
        """
        with ThreadPoolExecutor(1) as executor:  # signal handlers, which run in this thread, may stop the worker
            return executor.submit(self._workers[0].start).result()

    def close(self) -> None:
        """End the processes of all workers, none of which trains."""
        for worker in self._workers:
            worker.close()

    def run(self, trainings: Sequence[Training]) -> Generator[Event, None, None]:
        """Run trainings in their order, and yield what happens, until all have ended or the pool is stopped.

        Raises:
            WorkerStartError: no worker can start.
        """
        self._waiting.extend(trainings)
        threads = [
            Thread(target=self._serve, args=(worker,), name=f"training worker {i}", daemon=True)
            for i, worker in enumerate(self._workers[: len(trainings)])
        ]
        for thread in threads:
            thread.start()
        running = len(threads)
        try:
            while running:
                event = self._events.get()
                if isinstance(event, BaseException):
                    raise event
                if event is None:
                    running -= 1
                else:
                    yield event
        finally:
            if running:
                self.kill()
            for thread in threads:
                thread.join()

    def stop(self) -> None:
        """Stop all trainings after their epochs. Called from any thread or signal handler."""
        self._stopping = True
        for worker in self._workers:
            worker.stop()

    def kill(self) -> None:
        """Stop all trainings at once; their epochs are lost. Called from any thread or signal handler."""
        self._stopping = True
        for worker in self._workers:
            worker.kill()

    def _serve(self, worker: Worker) -> None:
        """Run trainings on a worker, in a thread."""
        try:
            with closing(worker):
                while not self._stopping and (training := self._next()) is not None:
                    ended = self._train(worker, training)
                    if ended is not None:
                        self._events.put(ended)
        except BaseException as error:
            self._events.put(error)
        self._events.put(None)

    def _next(self) -> Training | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def _train(self, worker: Worker, training: Training) -> TrainingEnded | None:
        """Train, once more after a crash; None if the training was stopped."""
        task = {
            "architecture": self._space.to_json(training.architecture),
            "seed": training.seed,
            "checkpoint": str((self._checkpoints / training.checkpoint).absolute()),
        }
        detail = ""
        for _ in range(MAX_ATTEMPTS):
            try:
                data = worker.train(task, lambda epochs: self._events.put(EpochEnded(training, epochs)))
            except WorkerTimeoutError as error:
                return _failure(training, "timeout", str(error))
            except WorkerCrashError as error:
                detail = str(error)
                if self._stopping:
                    return None
            else:
                if data is None:
                    return None
                environment = data.pop("environment")
                return TrainingEnded(training, result_from_json(data, "result"), environment)
        return _failure(training, "crash", f"{detail}; tried {MAX_ATTEMPTS} times")


def _failure(training: Training, error: TrainingError, detail: str) -> TrainingEnded:
    return TrainingEnded(training, TrainingResult((), None, error, detail))
