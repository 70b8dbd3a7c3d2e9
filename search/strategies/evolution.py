"""Aging evolution."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from models import Architecture
from search.base import SearchDomain, Strategy, Surrogate, Trial, succeeded


class Evolution(Strategy):
    """Aging (regularised) evolution: Real et al., AAAI 2019, "Regularized Evolution for Image Classifier Architecture
    Search".

    A pool is filled at random. Then the best of a random few of it, drawn with replacement, has a child one edit away,
    which takes the place of the oldest: even the best die, so what was only measured well once does not stay.

    A child that was asked for before is drawn again, parent and all; where nothing new is near, a random one takes its
    place.

    Args:
        pool: how many live at a time.
        tournament: how many a parent is the best of.
    """

    name = "evolution"
    summary = "aging evolution (Real et al. 2019)"

    def __init__(
        self,
        moves: SearchDomain,
        rng: np.random.Generator,
        guide: Surrogate | None = None,
        *,
        pool: int = 64,
        tournament: int = 10,
    ) -> None:
        super().__init__(moves, rng, guide)
        self.pool, self.tournament = pool, tournament
        self.living: deque[tuple[float, Architecture]] = deque(maxlen=pool)

    def ask(self, n: int) -> list[Architecture]:
        missing = self.pool - len(self.living)
        if missing > 0:
            return self._several(min(n, missing), self._first)
        return self._children(n) or self._several(n, self._random)

    def tell(self, trials: Sequence[Trial]) -> None:
        self.living.extend(succeeded(trials))

    def _first(self) -> Architecture:
        """One of those that the pool is filled with."""
        return self._random()

    def _children(self, n: int) -> list[Architecture]:
        return self._several(n, lambda: self.moves.mutate(self._parent(), self.rng))

    def _parent(self) -> Architecture:
        drawn = self.rng.integers(len(self.living), size=self.tournament)
        return max((self.living[i] for i in drawn), key=lambda living: living[0])[1]
