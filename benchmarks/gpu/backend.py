"""The backend that the service has, for parts that score in processes of their own."""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from itertools import count, islice
from time import monotonic, sleep
from typing import Any

import torch

from benchmarks.gpu.checks import Options
from models import Architecture, get_space
from models.batches import ProbeBatch
from proxies import proxy_names
from service.workers.backend import Task, TaskOutcome
from service.workers.process_backend import ProcessBackend, WorkerOptions, visible_gpus

START_SECONDS = 100
IDS = count()


@contextmanager
def backend(options: Options, batch: ProbeBatch, processes: int, **more: Any) -> Iterator[ProcessBackend]:
    """Processes on the first GPU (or the CPU), ready to score on `batch`; stopped at the end.

    Raises `RuntimeError` where they do not get ready. `more` goes to `WorkerOptions`.
    """
    one = ProcessBackend(
        {"probe": batch},
        WorkerOptions(
            gpus=visible_gpus()[:1] if options.device == "cuda" else (),
            num_workers=processes,
            workers_per_gpu=processes,
            num_threads=max(1, torch.get_num_threads() // processes),
            **more,
        ),
    )
    one.start()
    try:
        end = monotonic() + START_SECONDS
        while not all(worker.state == "idle" for worker in one.health().workers):
            if monotonic() > end or one.health().state == "unhealthy":
                raise RuntimeError(f"no process got ready: {one.health().workers[0].last_error}")
            sleep(0.01)
        yield one
    finally:
        one.stop()


def task(architecture: Architecture, proxies: Iterable[str] | None = None, seed: int = 0) -> Task:
    """The architecture as a task; all proxies where None."""
    space = get_space(architecture.space)
    names = proxy_names() if proxies is None else list(proxies)
    return Task(f"t{next(IDS)}", space.name, space.settings, space.to_json(architecture), "probe", seed, 1, names)


def outcomes(one: ProcessBackend, tasks: Iterable[Task], in_flight: int) -> Iterator[TaskOutcome]:
    """As they come, never more than so many at a time."""
    tasks = iter(tasks)
    running: set[Future[TaskOutcome]] = {one.submit(task) for task in islice(tasks, in_flight)}
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in finished)
        running |= {one.submit(task) for task in islice(tasks, len(finished))}
