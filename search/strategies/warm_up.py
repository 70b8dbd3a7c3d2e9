"""Aging evolution from a start that was chosen before anything was tried."""

from collections.abc import Iterator

import numpy as np

from models import Architecture
from search.base import SearchDomain, Surrogate
from search.strategies.evolution import Evolution


class WarmUp(Evolution):
    """Zero-cost warm-up: Abdelfattah et al., ICLR 2021, "Zero-Cost Proxies for Lightweight NAS".

    The pool is filled with the best, by the guide, of many random architectures; one that fails is followed by the next
    best. From then on it is aging evolution.

    Args:
        number: how many architectures the guide is asked about.
    """

    name = "warm-up"
    summary = "evolution from the predicted best of 3,000 (zero-cost warm-up, Abdelfattah et al. 2021)"
    guided = True

    def __init__(
        self,
        moves: SearchDomain,
        rng: np.random.Generator,
        guide: Surrogate | None = None,
        *,
        pool: int = 64,
        tournament: int = 10,
        number: int = 3000,
    ) -> None:
        super().__init__(moves, rng, guide, pool=pool, tournament=tournament)
        self.number = number
        self._ranked: Iterator[Architecture] | None = None

    def _first(self) -> Architecture:
        if self._ranked is None:
            self._ranked = iter(self._best_first(list(dict.fromkeys(self._random() for _ in range(self.number)))))
        return next(self._ranked, None) or self._random()
