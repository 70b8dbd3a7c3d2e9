"""One thread owns the device: it takes turns between requests, one architecture at a time."""

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, TypeVar

from models.errors import ArchrankError

log = logging.getLogger(__name__)
T = TypeVar("T")
LONGEST_WAIT = 60
"""Upper limit of the advice when to come again, in seconds."""


class BusyError(ArchrankError):
    """The queue is full. `retry_after`: in how many seconds it might not be."""

    def __init__(self, detail: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(detail)


@dataclass(frozen=True)
class Work(Generic[T]):
    """A request's work, in steps.

    Attributes:
        size: number of architectures that have to be scored; each costs one step.
        steps: yields before each thing that has to be computed and returns the answer.
    """

    size: int
    steps: Generator[None, None, T]

    def at_once(self) -> T | None:
        """The answer where nothing has to be computed; else None, and the rest is for `Worker.submit`."""
        try:
            next(self.steps)
        except StopIteration as end:
            answer: T = end.value
            return answer
        return None

    def run(self) -> T:
        """All of it, here and now."""
        while (answer := self.at_once()) is None:
            pass
        return answer


@dataclass(eq=False)
class _Job:
    steps: Generator[None, None, Any]
    left: int
    answer: "Future[Any]"


class Worker:
    """Runs `Work` in its thread, requests in turns, so that a long one does not hold up a short one.

    Args:
        capacity: while this many architectures wait, further work is refused.
        prepare: called in the thread before anything else; without it there is no work.
        warm_up: called once that is done, before the first work; may fail.
    """

    def __init__(self, capacity: int, prepare: Callable[[], None], warm_up: Callable[[], None] = lambda: None) -> None:
        self._capacity, self._prepare, self._warm_up = capacity, prepare, warm_up
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._stopping = self._prepared = False
        self._pace = 1.0  # seconds a step, a moving average
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)

    @property
    def ready(self) -> bool:
        """Whether the thread is alive and its preparation succeeded."""
        return self._prepared and self._thread.is_alive() and not self._stopping

    @property
    def waiting(self) -> int:
        """Architectures that are not yet done."""
        with self._changed:
            return sum(job.left for job in self._jobs)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step that is running, cancel the rest, and end the thread."""
        with self._changed:
            self._stopping = True
            for job in self._jobs:
                job.answer.cancel()
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def submit(self, work: Work[T]) -> "Future[T]":
        """Queue the work. Cancelling the future drops what has not begun. Raises `BusyError`."""
        with self._changed:
            waiting = sum(job.left for job in self._jobs)
            if self._stopping or not self._thread.is_alive():
                raise BusyError("the device is not at work", LONGEST_WAIT)
            if waiting >= self._capacity:
                soon = min(LONGEST_WAIT, max(1, math.ceil(waiting * self._pace)))
                raise BusyError(f"{waiting} architectures wait already; come again in {soon} s", soon)
            answer: Future[T] = Future()
            self._jobs.append(_Job(work.steps, max(1, work.size), answer))
            self._changed.notify()
        return answer

    def _run(self) -> None:
        try:
            self._prepare()
            self._prepared = True
        except Exception:
            log.exception("the device could not be prepared")
            return
        try:
            self._warm_up()
        except Exception:
            log.exception("the device could not be warmed up")
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._stopping)
                if self._stopping:
                    return
                job = self._jobs[0]
            done = self._step(job)
            with self._changed:
                self._jobs.popleft()
                if not done:
                    job.left = max(1, job.left - 1)
                    self._jobs.append(job)

    def _step(self, job: _Job) -> bool:
        """One turn of a job; whether it was the last. An error is that job's alone."""
        if job.answer.cancelled():
            job.steps.close()
            return True
        started = perf_counter()
        try:
            next(job.steps)
        except StopIteration as end:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_result(end.value)
            return True
        except Exception as error:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(error)
            return True
        finally:
            self._pace += 0.2 * (perf_counter() - started - self._pace)
        return False
