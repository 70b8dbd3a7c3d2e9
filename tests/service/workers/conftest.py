"""What the tests of the backends share."""

import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from models.batches import ProbeBatch, synthetic_batch
from service.workers.base import Backend, Outcome, Task
from tests.service.conftest import SMALL

WAIT = 120
"""Seconds; generous, as the machine may be busy."""
IDS = count()


def task(architecture: Any = SMALL, **fields: Any) -> Task:
    """A task with an id of its own."""
    return Task(
        **{
            "id": f"t{next(IDS)}",
            "space": "gcn-nas",
            "settings": {},
            "architecture": architecture,
            "probe": "small",
            "seed": 0,
            "repeats": 1,
            "proxies": ["params", "nwot"],
        }
        | fields
    )


def deed(name: str | None = None, **fields: Any) -> Task:
    """A task for a process of `faults`."""
    return task({"deed": name, **fields})


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def report(text: str) -> None:
    """For people: `pytest -rP` shows it."""
    print(text)  # noqa: T201


def submit_all(backend: Backend, tasks: list[Task]) -> dict[str, Outcome]:
    """Every task's outcome by id, handed over as there is room."""
    futures = {}
    for one in tasks:
        wait_until(lambda: backend.capacity > 0)
        futures[one.id] = backend.submit(one)
    return {name: future.result(WAIT) for name, future in futures.items()}


@pytest.fixture(scope="session")
def small(space: Any) -> ProbeBatch:
    """A probe batch that takes little time."""
    return synthetic_batch(space, batch_size=2, frames=4)
