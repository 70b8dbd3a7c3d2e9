"""Aging evolution from an initial population that a surrogate chose."""

from collections.abc import Iterator

import numpy as np

from models import Architecture
from search.base import SearchDomain, Surrogate
from search.strategies.aging_evolution import AgingEvolution


class ZeroCostWarmUp(AgingEvolution):
    """Zero-cost warm-up (Abdelfattah et al., ICLR 2021).

    Source: "Zero-Cost Proxies for Lightweight NAS". The initial population is the best, by the surrogate, of many
    random architectures; a failed one is followed by the next best. The rest is aging evolution.

    Args:
        domain: domain of the search.
        rng: source of all randomness.
        surrogate: cheap predictions; required.
        population_size: number of members.
        tournament_size: number of members that a parent is the best of.
        num_candidates: number of random architectures that the surrogate ranks.
    """

    name = "warm-up"
    summary = "evolution from the predicted best of 3,000 (zero-cost warm-up, Abdelfattah et al. 2021)"
    needs_surrogate = True

    def __init__(
        self,
        domain: SearchDomain,
        rng: np.random.Generator,
        surrogate: Surrogate | None = None,
        *,
        population_size: int = 64,
        tournament_size: int = 10,
        num_candidates: int = 3000,
    ) -> None:
        super().__init__(domain, rng, surrogate, population_size=population_size, tournament_size=tournament_size)
        self.num_candidates = num_candidates
        self._ranked: Iterator[Architecture] | None = None

    def _draw_initial(self) -> Architecture:
        if self._ranked is None:
            candidates = dict.fromkeys(self._sample() for _ in range(self.num_candidates))
            self._ranked = iter(self._sort_by_surrogate(list(candidates)))
        return next(self._ranked, None) or self._sample()
