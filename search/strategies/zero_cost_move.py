"""Aging evolution whose mutations are chosen by a surrogate."""

import numpy as np

from models import Architecture
from search.base import SearchDomain, Surrogate
from search.strategies.aging_evolution import AgingEvolution


class ZeroCostMove(AgingEvolution):
    """Zero-cost move (Abdelfattah et al., ICLR 2021).

    Source: "Zero-Cost Proxies for Lightweight NAS". Aging evolution in which a child is, with a fixed probability, the
    neighbor of the parent that the surrogate ranks highest among those not proposed before, and a random mutation
    otherwise.

    Args:
        domain: domain of the search.
        rng: source of all randomness.
        surrogate: cheap predictions; required.
        population_size: number of members.
        tournament_size: number of members that a parent is the best of.
        surrogate_probability: probability with which the surrogate chooses the child. Random mutations keep the search
            from following the surrogate's errors again and again.
    """

    name = "move"
    summary = "evolution by the mutation predicted best (zero-cost move, Abdelfattah et al. 2021)"
    needs_surrogate = True

    def __init__(
        self,
        domain: SearchDomain,
        rng: np.random.Generator,
        surrogate: Surrogate | None = None,
        *,
        population_size: int = 64,
        tournament_size: int = 10,
        surrogate_probability: float = 0.75,
    ) -> None:
        super().__init__(domain, rng, surrogate, population_size=population_size, tournament_size=tournament_size)
        self.surrogate_probability = surrogate_probability

    def _draw_children(self, n: int) -> list[Architecture]:
        """Draw up to `n` children; the surrogate is called once, for the neighbors of all parents together."""
        by_surrogate = self.rng.random(n) < self.surrogate_probability
        parents = [self._draw_parent() for chosen in by_surrogate if chosen]
        neighbors = {parent: list(self.domain.neighbors(parent)) for parent in parents}
        candidates = dict.fromkeys(arch for near in neighbors.values() for arch in near if arch not in self.proposed)
        rank = {arch: i for i, arch in enumerate(self._sort_by_surrogate(list(candidates)))}
        children: list[Architecture] = []
        for parent in parents:
            untried = [arch for arch in neighbors[parent] if arch not in self.proposed]
            if untried:
                children.append(min(untried, key=rank.__getitem__))
                self.proposed.add(children[-1])
        return children + super()._draw_children(n - len(children))
