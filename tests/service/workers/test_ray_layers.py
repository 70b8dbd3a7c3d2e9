"""Statistics of layers that actors of a Ray cluster measure are those that processes measure."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolution.layer_statistics import Network, measure_layers
from models import BatchError, get_space
from service.workers import ray_layers
from service.workers.backend import BackendHealth, Failure, Task, TaskOutcome
from service.workers.errors import ClusterError, TaskRejectedError
from service.workers.ray_backend import RayOptions
from service.workers.ray_layers import create_scorer, in_cluster
from tests.service.workers.ray_clusters import LocalCluster

SPACE: Any = get_space("nas-bench-201")
ARCHITECTURES = [SPACE.parse({"digits": digits}) for digits in ("300000", "020200", "444444")]
BATCH = SPACE.task.synthetic_batch().fingerprint


def network(batch: str = BATCH) -> Network:
    return Network(SPACE.name, SPACE.settings, SPACE.to_json(ARCHITECTURES[0]), batch, 0)


def test_actors_measure_what_processes_measure(tmp_path: Path, ray_cluster: LocalCluster) -> None:
    here = measure_layers(SPACE, ARCHITECTURES, tmp_path / "here")
    done: list[int] = []
    measure = in_cluster(RayOptions(address=ray_cluster.address, max_workers=2))
    there = measure_layers(
        SPACE, ARCHITECTURES, tmp_path / "there", 0, measure, lambda count, total: done.append(count)
    )
    assert done == [1, 2, 3]
    for fingerprint, values in here.items():
        assert len(values)
        np.testing.assert_array_equal(there[fingerprint], values)


def test_another_batch_on_a_node_is_an_error() -> None:
    score = create_scorer({"num_threads": 1})
    with pytest.raises(BatchError, match="of another machine"):
        score(Task("0", SPACE.name, SPACE.settings, SPACE.to_json(ARCHITECTURES[0]), "of another machine", 0, 1, ()))


class Failing:
    """Backend whose tasks fail, or that takes none."""

    def __init__(self, capacity: int, is_lost: bool = False) -> None:
        self.capacity, self._is_lost = capacity, is_lost

    def submit(self, task: Task) -> "Future[TaskOutcome]":
        self.capacity = 0
        if self._is_lost:
            raise TaskRejectedError("the backend is unhealthy")
        future: Future[TaskOutcome] = Future()
        future.set_result(TaskOutcome(task.id, None, 0.0, Failure("crash", "the actor ended")))
        return future

    def health(self) -> BackendHealth:
        return BackendHealth("unhealthy", [], last_error="no token")


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (Failing(1), "a network could not be measured: the actor ended; the same command continues"),
        (Failing(0), "no network can be measured: no token; the same command continues"),
        (Failing(1, is_lost=True), "no network can be measured: no token; the same command continues"),
    ],
)
def test_failures_are_errors(backend: Failing, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def started(options: RayOptions) -> Iterator[Failing]:
        yield backend

    monkeypatch.setattr(ray_layers, "_started", started)
    measure: Callable[..., Any] = in_cluster(RayOptions())
    with pytest.raises(ClusterError, match=message):
        list(measure([network()]))
