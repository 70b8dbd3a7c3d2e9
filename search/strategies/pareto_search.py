"""Multi-objective search: accuracy against FLOPs."""

from collections.abc import Sequence

import numpy as np

from models import Architecture
from search.base import SearchDomain, Strategy, Surrogate
from search.trials import Trial


class ParetoSearch(Strategy):
    """NSGA-II, accuracy against FLOPs (Deb et al., IEEE TEC 2002), by pymoo (Blank and Deb, IEEE Access 2020).

    Parents are the winners of binary tournaments by dominance, then by crowding distance; children are crossovers that
    are mutated once. A generation has to be told in full before the next is proposed. Failed trials are not passed to
    pymoo, so they have no children.

    Args:
        domain: domain of the search.
        rng: source of all randomness.
        surrogate: not used.
        population_size: number of members, and of children per generation.

    Raises:
        MissingExtraError: pymoo is not installed.
        CapabilityError: the domain has no mutations or no costs.
    """

    name = "pareto"
    summary = "accuracy against FLOPs: NSGA-II (Deb et al. 2002, pymoo)"
    asynchronous = False
    needs_costs = True
    required_extra = ("search", "pymoo")

    def __init__(
        self,
        domain: SearchDomain,
        rng: np.random.Generator,
        surrogate: Surrogate | None = None,
        *,
        population_size: int = 64,
    ) -> None:
        from search.nsga2 import Nsga2  # slow to import, and no other strategy needs it

        super().__init__(domain, rng, surrogate)
        self._algorithm = Nsga2(domain, self.proposed, population_size, seed=int(rng.integers(2**31)))
        self._pending: list[Architecture] = []
        """Architectures of this generation that were not proposed yet."""
        self._generation: list[Trial] = []

    def ask(self, n: int) -> list[Architecture]:
        """Propose up to `n` architectures of the current generation."""
        if not self._pending:
            self._algorithm.tell(self._generation)
            self._pending, self._generation = self._algorithm.ask(), []
            self.proposed.update(self._pending)
        batch, self._pending = self._pending[:n], self._pending[n:]
        return batch

    def tell(self, trials: Sequence[Trial]) -> None:
        """Collect the trials of the current generation."""
        self._generation.extend(trials)
