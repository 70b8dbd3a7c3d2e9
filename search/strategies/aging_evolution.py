"""Aging evolution."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from models import Architecture
from search.base import SearchDomain, Strategy, Surrogate
from search.trials import Trial, successful_pairs


class AgingEvolution(Strategy):
    """Aging (regularized) evolution (Real et al., AAAI 2019).

    Source: "Regularized Evolution for Image Classifier Architecture Search". The initial population is random. Then the
    best of a tournament, drawn with replacement, is mutated, and the child replaces the oldest member. As even the best
    die, an architecture that was measured too well by chance does not stay.

    If a child was proposed before, parent and child are drawn again; if no new child is found, a random architecture is
    proposed instead.

    Args:
        domain: domain of the search.
        rng: source of all randomness.
        surrogate: not used.
        population_size: number of members.
        tournament_size: number of members that a parent is the best of.
    """

    name = "evolution"
    summary = "aging evolution (Real et al. 2019)"

    def __init__(
        self,
        domain: SearchDomain,
        rng: np.random.Generator,
        surrogate: Surrogate | None = None,
        *,
        population_size: int = 64,
        tournament_size: int = 10,
    ) -> None:
        super().__init__(domain, rng, surrogate)
        self.population_size, self.tournament_size = population_size, tournament_size
        self.population: deque[tuple[float, Architecture]] = deque(maxlen=population_size)

    def ask(self, n: int) -> list[Architecture]:
        """Propose up to `n` initial members, or children once the population is full."""
        missing = self.population_size - len(self.population)
        if missing > 0:
            return self._draw_up_to(min(n, missing), self._draw_initial)
        return self._draw_children(n) or self._draw_up_to(n, self._sample)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Add the successful trials to the population; the oldest members leave it."""
        self.population.extend(successful_pairs(trials))

    def _draw_initial(self) -> Architecture:
        """Draw a member of the initial population."""
        return self._sample()

    def _draw_children(self, n: int) -> list[Architecture]:
        return self._draw_up_to(n, lambda: self.domain.mutate(self._draw_parent(), self.rng))

    def _draw_parent(self) -> Architecture:
        tournament = self.rng.integers(len(self.population), size=self.tournament_size)
        return max((self.population[i] for i in tournament), key=lambda member: member[0])[1]
