"""Aging evolution whose steps are chosen before they are tried."""

import numpy as np

from models import Architecture
from search.base import SearchDomain, Surrogate
from search.strategies.evolution import Evolution


class Move(Evolution):
    """Zero-cost move: Abdelfattah et al., ICLR 2021, "Zero-Cost Proxies for Lightweight NAS".

    Aging evolution in which a child is, with probability p, the best by the guide of the parent's neighbours that were
    not asked for yet, and a random mutation otherwise.

    Args:
        p: how often the guide decides. The rest keeps it from going where the guide is wrong again and again.
    """

    name = "move"
    summary = "evolution by the predicted best edit (zero-cost move, Abdelfattah et al. 2021)"
    guided = True

    def __init__(
        self,
        moves: SearchDomain,
        rng: np.random.Generator,
        guide: Surrogate | None = None,
        *,
        pool: int = 64,
        tournament: int = 10,
        p: float = 0.75,
    ) -> None:
        super().__init__(moves, rng, guide, pool=pool, tournament=tournament)
        self.p = p

    def _children(self, n: int) -> list[Architecture]:
        """The guide is asked once, for the neighbours of all parents together."""
        parents = [self._parent() for by_guide in self.rng.random(n) < self.p if by_guide]
        near = {parent: list(self.moves.neighbors(parent)) for parent in parents}
        candidates = dict.fromkeys(arch for around in near.values() for arch in around if arch not in self.asked)
        place = {arch: i for i, arch in enumerate(self._best_first(list(candidates)))}
        children: list[Architecture] = []
        for parent in parents:
            untried = [arch for arch in near[parent] if arch not in self.asked]
            if untried:
                children.append(min(untried, key=place.__getitem__))
                self.asked.add(children[-1])
        return children + super()._children(n - len(children))
