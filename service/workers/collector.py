"""Prometheus metrics of a backend and its workers, read at every scrape."""

from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.workers.backend import Backend, BackendState, WorkerState


class BackendCollector(Collector):
    """Collector of `backend.health()`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Metric]:
        """Yield the backend's state, its workers by state, and the counts of their failures."""
        health = self._backend.health()
        states = [worker.state for worker in health.workers]
        recycles = sum(worker.recycled for worker in health.workers)
        yield _gauge(
            "backend_state",
            "1 for the backend's present state, else 0",
            {state: int(state == health.state) for state in get_args(BackendState)},
        )
        yield _gauge("workers", "Workers", {state: states.count(state) for state in get_args(WorkerState)})
        yield _counter("worker_restarts", "Workers replaced after a failure or a cancellation", health.restarts)
        yield _counter("worker_recycles", "Workers replaced after their maximum number of tasks", recycles)
        yield _counter("worker_out_of_memory", "Tasks that ran out of memory", health.out_of_memory)
        yield _counter("worker_timeouts", "Tasks that exceeded their timeout", health.timeouts)
        yield _counter("node_losses", "Workers lost with their node of a cluster", health.node_losses)
        yield GaugeMetricFamily(
            "archrank_oldest_task_seconds", "Age of the oldest task of the backend", health.oldest_task_seconds
        )


def _gauge(name: str, documentation: str, by_state: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"archrank_{name}", documentation, labels=["state"])
    for state, number in by_state.items():
        family.add_metric([state], number)
    return family


def _counter(name: str, documentation: str, number: int) -> CounterMetricFamily:
    return CounterMetricFamily(f"archrank_{name}", documentation, number)
