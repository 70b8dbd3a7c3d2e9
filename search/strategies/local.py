"""Local search."""

from collections.abc import Sequence

import numpy as np

from models import Architecture
from search.base import SearchDomain, Strategy, Surrogate, Trial, succeeded


class Local(Strategy):
    """Hill climbing, first improvement: White et al., UAI 2021, "Exploring the Loss Landscape in Neural Architecture
    Search".

    From the best of a few random architectures, its neighbours are tried: with a guide the predicted best first,
    without one in random order. As soon as one is better the search goes on from there; where none is, it starts anew.

    Args:
        start: how many random architectures a climb begins with.
    """

    name = "local"
    summary = "local search from the best of ten, anew at each peak (White et al. 2021)"

    def __init__(
        self, moves: SearchDomain, rng: np.random.Generator, guide: Surrogate | None = None, *, start: int = 10
    ) -> None:
        super().__init__(moves, rng, guide)
        self.start = self.missing = start
        self.here: tuple[float, Architecture] | None = None
        self.around: list[Architecture] = []
        """Untried neighbours of here, in the order in which they are to be tried."""

    def ask(self, n: int) -> list[Architecture]:
        if not self.around and not self.missing:
            self.here, self.missing = None, self.start
        if self.missing:
            return self._several(min(n, self.missing), self._random)
        batch, self.around = self.around[:n], self.around[n:]
        self.asked.update(batch)
        return batch

    def tell(self, trials: Sequence[Trial]) -> None:
        starting, self.missing = self.missing, max(self.missing - len(trials), 0)
        found = max(succeeded(trials), key=lambda pair: pair[0], default=None)
        better = found is not None and (self.here is None or found[0] > self.here[0])
        if better:
            self.here = found
        if self.here is not None and not self.missing and (better or starting):
            self.around = self._order(self.here[1])

    def _order(self, arch: Architecture) -> list[Architecture]:
        untried = [other for other in self.moves.neighbors(arch) if other not in self.asked]
        return self._best_first([untried[i] for i in self.rng.permutation(len(untried))])
