"""Backend of the service, for parts that score in other processes."""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from itertools import count, islice
from time import monotonic, sleep
from typing import Any

import torch

from benchmarks.gpu.checks import Options
from models import Architecture, ProbeBatch, get_space
from proxies import proxy_versions
from service.workers.backend import Task, TaskOutcome
from service.workers.process_backend import ProcessBackend, WorkerOptions, visible_gpus

START_TIMEOUT_S = 100
_ids = count()


@contextmanager
def backend(options: Options, batch: ProbeBatch, processes: int, **more: Any) -> Iterator[ProcessBackend]:
    """Start scoring processes on the first GPU (or the CPU), and stop them at the end.

    Args:
        options: options of the run.
        batch: the probe batch, named `probe` in tasks.
        processes: number of processes.
        more: further fields of `WorkerOptions`.

    Raises:
        RuntimeError: the processes do not get ready.
    """
    scoring = ProcessBackend(
        {"probe": batch},
        WorkerOptions(
            gpus=visible_gpus()[:1] if options.device == "cuda" else (),
            num_workers=processes,
            workers_per_gpu=processes,
            num_threads=max(1, torch.get_num_threads() // processes),
            **more,
        ),
    )
    scoring.start()
    try:
        end = monotonic() + START_TIMEOUT_S
        while not all(worker.state == "idle" for worker in scoring.health().workers):
            if monotonic() > end or scoring.health().state == "unhealthy":
                raise RuntimeError(f"no process got ready: {scoring.health().workers[0].last_error}")
            sleep(0.01)
        yield scoring
    finally:
        scoring.stop()


def task(architecture: Architecture, proxies: Iterable[str] | None = None, seed: int = 0) -> Task:
    """Return an architecture as a task; with the default proxies where None."""
    space = get_space(architecture.space)
    names = list(proxy_versions() if proxies is None else proxies)
    return Task(f"t{next(_ids)}", space.name, space.settings, space.to_json(architecture), "probe", seed, 1, names)


def outcomes(scoring: ProcessBackend, tasks: Iterable[Task], in_flight: int) -> Iterator[TaskOutcome]:
    """Yield outcomes as they finish, with at most `in_flight` tasks at a time."""
    tasks = iter(tasks)
    running: set[Future[TaskOutcome]] = {scoring.submit(task) for task in islice(tasks, in_flight)}
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in finished)
        running |= {scoring.submit(task) for task in islice(tasks, len(finished))}
