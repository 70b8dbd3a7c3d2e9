"""Fixtures of the backends."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest

from models import ProbeBatch
from models.gcn_nas.batches import synthetic_batch
from service.workers.backend import Backend, Task, TaskOutcome
from tests.service.conftest import SMALL
from tests.service.workers.ray_clusters import LocalCluster, cluster
from tests.waiting import PATIENCE_S

IDS = count()


def task(architecture: Any = SMALL, **fields: Any) -> Task:
    """Return a task with a unique id."""
    return Task(
        **{
            "id": f"t{next(IDS)}",
            "space": "gcn-nas",
            "settings": {},
            "architecture": architecture,
            "probe_batch": "small",
            "seed": 0,
            "repeats": 1,
            "proxies": ["params", "nwot"],
        }
        | fields
    )


def faulty_task(fault: str | None = None, **fields: Any) -> Task:
    """Return a task for a worker of `faults`."""
    return task({"fault": fault, **fields})


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def submit_all(backend: Backend, tasks: list[Task]) -> dict[str, TaskOutcome]:
    """Submit tasks as capacity permits, and return their outcomes by id."""
    futures = {}
    for task in tasks:
        wait_until(lambda: backend.capacity > 0)
        futures[task.id] = backend.submit(task)
    return {task_id: future.result(PATIENCE_S) for task_id, future in futures.items()}


@pytest.fixture(scope="session")
def small(space: Any) -> ProbeBatch:
    """A probe batch that is scored fast."""
    return synthetic_batch(space.task, batch_size=2, frames=4)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[LocalCluster]:
    """A cluster of two nodes with a CPU and a logical GPU each, for all tests that leave these nodes alone.

    A node that is stopped counts as lost after 10 s, not Ray's minute.
    """
    checks = {"initial_delay_ms": 0, "period_ms": 500, "timeout_ms": 2000, "failure_threshold": 4}
    settings = {f"health_check_{name}": value for name, value in checks.items()}
    with cluster({"num_cpus": 1, "num_gpus": 1}, {"num_cpus": 1, "num_gpus": 1}, **settings) as started:
        yield started
