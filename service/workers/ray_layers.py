"""Statistics of the layers of networks, measured in actors of a Ray cluster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch

from evolution.layer_statistics import Measure, Network, measure_network, statistics
from proxies.evolved.operators import Array
from service.workers.backend import Task, TaskOutcome
from service.workers.errors import ClusterError, TaskRejectedError
from service.workers.ray_backend import RayBackend, RayOptions

POLL_INTERVAL_S = 0.5


def create_scorer(setup: Mapping[str, Any]) -> Callable[[Task], TaskOutcome]:
    """Return the function that measures a network, for an actor with the given `num_threads`."""
    torch.set_num_threads(setup["num_threads"])

    def run(task: Task) -> TaskOutcome:
        started = perf_counter()
        network = Network(task.space, task.settings, task.architecture, task.probe_batch, task.seed)
        fingerprint, values = measure_network(network)
        return TaskOutcome(task.id, {fingerprint: {"values": values.tolist()}}, perf_counter() - started)

    return run


def in_cluster(options: RayOptions) -> Measure:
    """Return a function that measures networks in a Ray cluster; it raises `ClusterError` if the cluster is lost.

    Args:
        options: options of the cluster; each of `max_workers` actors measures one network at a time.
    """
    scorer = f"{__name__}:{create_scorer.__name__}"
    options = replace(options, min_workers=options.max_workers, num_gpus=0.0, scorer=scorer)

    def run(networks: Sequence[Network]) -> Iterator[tuple[str, Array]]:
        tasks = [
            Task(str(i), each.space, each.settings, each.architecture, each.batch, each.seed, 1, ())
            for i, each in enumerate(networks)
        ]
        with _started(options) as backend:
            yield from map(_measured, _outcomes(backend, tasks))

    return run


@contextmanager
def _started(options: RayOptions) -> Iterator[RayBackend]:
    backend = RayBackend({}, options)
    backend.start()
    try:
        yield backend
    finally:
        backend.stop()


def _outcomes(backend: RayBackend, tasks: Sequence[Task]) -> Iterator[TaskOutcome]:
    """Yield outcomes in the order of completion."""
    waiting, running = list(reversed(tasks)), set[Future[TaskOutcome]]()
    while waiting or running:
        while waiting and backend.capacity:
            with suppress(TaskRejectedError):  # the cluster was lost in between
                running.add(backend.submit(waiting[-1]))
                waiting.pop()
        finished, running = wait(running, POLL_INTERVAL_S, FIRST_COMPLETED)
        yield from (future.result() for future in finished)
        if not running and (reason := backend.health().last_error):
            raise ClusterError(f"no network can be measured: {reason}; the same command continues")


def _measured(outcome: TaskOutcome) -> tuple[str, Array]:
    if outcome.scores is None:
        reason = outcome.failure.detail if outcome.failure else "no reason"
        raise ClusterError(f"a network could not be measured: {reason}; the same command continues")
    ((fingerprint, fields),) = outcome.scores.items()
    return fingerprint, np.array(fields["values"], dtype=np.float64).reshape(-1, len(statistics()))
