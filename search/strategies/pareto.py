"""Accuracy against cost."""

from collections.abc import Sequence

import numpy as np

from models import Architecture
from search.base import SearchDomain, Strategy, Surrogate, Trial


class Pareto(Strategy):
    """NSGA-II, accuracy against FLOPs: Deb et al., IEEE TEC 2002, as pymoo has it (Blank and Deb, IEEE Access 2020).

    Generations of a pool: parents are the better of two by dominance, then by how lonely they are; children are crosses
    that are edited once. A generation has to be told in full before the next is asked for. Those that failed are not
    told to pymoo, so that they are nobody's parents.

    Args:
        pool: how many live, and how many a generation has.
    """

    name = "pareto"
    summary = "accuracy against FLOPs: NSGA-II (Deb et al. 2002, pymoo)"

    def __init__(
        self, moves: SearchDomain, rng: np.random.Generator, guide: Surrogate | None = None, *, pool: int = 64
    ) -> None:
        from search.nsga2 import Nsga2  # takes a while to import, and no other strategy needs it

        super().__init__(moves, rng, guide)
        self._algorithm = Nsga2(moves, self.asked, pool, seed=int(rng.integers(2**31)))
        self._waiting: list[Architecture] = []
        """Of this generation, those not asked for yet."""
        self._told: list[Trial] = []

    def ask(self, n: int) -> list[Architecture]:
        if not self._waiting:
            self._algorithm.tell(self._told)
            self._waiting, self._told = self._algorithm.next(), []
            self.asked.update(self._waiting)
        batch, self._waiting = self._waiting[:n], self._waiting[n:]
        return batch

    def tell(self, trials: Sequence[Trial]) -> None:
        self._told.extend(trials)
