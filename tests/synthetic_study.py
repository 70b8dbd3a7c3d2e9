"""Observations of a made-up task in the space of NAS-Bench-Graph, without its data."""

from functools import lru_cache
from typing import Any

import numpy as np

from models import get_space

SPACE = "nas-bench-graph"
NUMBER = 400
EFFECTS = {"gcn": 0.05, "gat": 0.04, "sage": 0.03, "gin": -0.03, "cheb": 0.02, "skip": -0.06, "fc": -0.05}
"""Effects of operations on the made-up accuracy."""


@lru_cache(maxsize=64)
def _sample(number: int, seed: int) -> tuple[Any, ...]:
    space, rng = get_space(SPACE), np.random.default_rng(seed)
    distinct: dict[Any, None] = {}
    while len(distinct) < number:
        distinct[space.sample(rng)] = None
    return tuple(space.to_json(architecture) for architecture in distinct)


def sample(number: int, seed: int = 0) -> list[Any]:
    """Return distinct random architectures; of a seed, fewer are the first of more."""
    return list(_sample(number, seed))


def accuracy(architecture: Any) -> float:
    """Return the made-up accuracy of an architecture, a fraction."""
    effects = sum(EFFECTS.get(op, 0.0) for op in architecture["ops"])
    noise = np.random.default_rng([ord(char) for char in str(architecture)]).normal(scale=0.01)
    return round(float(np.clip(0.7 + effects + 0.01 * max(architecture["link"]) + noise, 0, 1)), 4)


@lru_cache(maxsize=1)
def _observations() -> tuple[Any, ...]:
    return tuple({"architecture": each, "value": accuracy(each)} for each in _sample(NUMBER, 0))


def observations(number: int) -> list[Any]:
    """Return the first observations of the task."""
    return [dict(row) for row in _observations()[:number]]


VALUES: list[float] = [row["value"] for row in _observations()]
