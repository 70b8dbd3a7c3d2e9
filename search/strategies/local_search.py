"""Local search."""

from collections.abc import Sequence

import numpy as np

from models import Architecture
from search.base import SearchDomain, Strategy, Surrogate
from search.trials import Trial, successful_pairs


class LocalSearch(Strategy):
    """First-improvement hill climbing with restarts (White et al., UAI 2021).

    Source: "Exploring the Loss Landscape in Neural Architecture Search". Starting from the best of a few random
    architectures, neighbors are tried: the predicted best first if there is a surrogate, in random order otherwise. The
    first better neighbor becomes the new center; if there is none, the search restarts.

    Args:
        domain: domain of the search.
        rng: source of all randomness.
        surrogate: cheap predictions that order the neighbors; optional.
        num_initial: number of random architectures that each climb starts with.
    """

    name = "local"
    summary = "local search from the best of ten, restarted at each peak (White et al. 2021)"
    asynchronous = False

    def __init__(
        self,
        domain: SearchDomain,
        rng: np.random.Generator,
        surrogate: Surrogate | None = None,
        *,
        num_initial: int = 10,
    ) -> None:
        super().__init__(domain, rng, surrogate)
        self.num_initial = self._missing = num_initial
        self._center: tuple[float, Architecture] | None = None
        self._untried: list[Architecture] = []
        """Untried neighbors of the center, in the order in which they are to be tried."""

    def ask(self, n: int) -> list[Architecture]:
        """Propose up to `n` initial architectures or neighbors of the center."""
        if not self._untried and not self._missing:
            self._center, self._missing = None, self.num_initial
        if self._missing:
            return self._draw_up_to(min(n, self._missing), self._sample)
        batch, self._untried = self._untried[:n], self._untried[n:]
        self.proposed.update(batch)
        return batch

    def tell(self, trials: Sequence[Trial]) -> None:
        """Move the center to the best trial if it is an improvement."""
        starting, self._missing = self._missing, max(self._missing - len(trials), 0)
        best = max(successful_pairs(trials), key=lambda pair: pair[0], default=None)
        improved = best is not None and (self._center is None or best[0] > self._center[0])
        if improved:
            self._center = best
        if self._center is not None and not self._missing and (improved or starting):
            self._untried = self._order_neighbors(self._center[1])

    def _order_neighbors(self, arch: Architecture) -> list[Architecture]:
        untried = [neighbor for neighbor in self.domain.neighbors(arch) if neighbor not in self.proposed]
        return self._sort_by_surrogate([untried[i] for i in self.rng.permutation(len(untried))])
