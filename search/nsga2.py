"""pymoo's NSGA-II with operators for architectures: sampling, crossover, mutation and duplicate elimination."""

from collections.abc import Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.config import Config
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination

from models import Architecture
from search.base import MAX_REJECTIONS, SearchDomain
from search.trials import Trial

Config.warnings["not_compiled"] = False  # pymoo prints this hint to standard output


class Nsga2:
    """Ask-and-tell NSGA-II that maximizes accuracy and minimizes FLOPs.

    Args:
        domain: domain of the search.
        proposed: architectures that no generation may hold; the caller adds each generation to it.
        population_size: number of members, and of children per generation.
        seed: seed of pymoo's random generator.
    """

    def __init__(self, domain: SearchDomain, proposed: Set[Architecture], population_size: int, seed: int) -> None:
        self._algorithm = NSGA2(
            pop_size=population_size,
            sampling=_RandomSampling(domain, proposed),
            crossover=_Crossover(domain),
            mutation=_Mutation(domain),
            eliminate_duplicates=_RemoveProposed(proposed),
            termination=NoTermination(),
            seed=seed,
        )
        self._algorithm.setup(Problem(n_var=1, n_obj=2))
        self._generation: Any = None

    def ask(self) -> list[Architecture]:
        """Return the next generation, without duplicates; an empty list if nothing new is found."""
        self._generation = self._algorithm.ask()
        return [] if self._generation is None else _architectures(self._generation)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Report the trials of the generation, in its order; pymoo is told only of the successful ones."""
        objectives = [(i, -trial.accuracy, trial.flops) for i, trial in enumerate(trials) if trial.accuracy is not None]
        if objectives:
            survivors = self._generation[[i for i, *_ in objectives]]
            survivors.set("F", np.array([values for _, *values in objectives], dtype=np.float64))
            self._algorithm.tell(infills=survivors)


def _architectures(population: Any) -> list[Architecture]:
    return [individual.X[0] for individual in population]


def _variables(architectures: Sequence[Architecture], shape: tuple[int, ...]) -> NDArray[np.object_]:
    """Array of pymoo's decision variables; the last axis has length 1, an individual's only variable."""
    values = np.empty(len(architectures), dtype=object)
    values[:] = architectures
    return values.reshape(shape)


class _RandomSampling(Sampling):  # type: ignore[misc]
    """Random architectures that were not proposed before."""

    def __init__(self, domain: SearchDomain, proposed: Set[Architecture]) -> None:
        super().__init__()
        self.domain, self.proposed = domain, proposed

    def _do(self, problem: Any, n_samples: int, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        architectures: dict[Architecture, None] = {}
        rejections = 0
        while len(architectures) < n_samples and rejections < MAX_REJECTIONS:
            arch = self.domain.sample(random_state)
            if arch in self.proposed or arch in architectures:
                rejections += 1
            else:
                architectures[arch], rejections = None, 0
        return _variables(list(architectures), (-1, 1))


class _Crossover(Crossover):  # type: ignore[misc]
    """Two children of two parents."""

    def __init__(self, domain: SearchDomain) -> None:
        super().__init__(n_parents=2, n_offsprings=2)
        self.domain = domain

    def _do(self, problem: Any, X: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        first, second = X[:, :, 0]
        pairs = [*zip(first, second, strict=True), *zip(second, first, strict=True)]
        return _variables([self.domain.crossover(*parents, random_state) for parents in pairs], X.shape)


class _Mutation(Mutation):  # type: ignore[misc]
    """One mutation of each individual."""

    def __init__(self, domain: SearchDomain) -> None:
        super().__init__()
        self.domain = domain

    def _do(self, problem: Any, X: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        return _variables([self.domain.mutate(arch, random_state) for arch in X[:, 0]], X.shape)


class _RemoveProposed(DuplicateElimination):  # type: ignore[misc]
    """Elimination of every architecture proposed before, whether or not it is still in the population."""

    def __init__(self, proposed: Set[Architecture]) -> None:
        super().__init__()
        self.proposed = proposed

    def do(self, pop: Any, *others: Any, **kwargs: Any) -> Any:
        """Return the individuals of `pop` that are neither proposed, nor in `others`, nor repeated."""
        known = {arch for other in others for arch in _architectures(other)}
        new = []
        for i, arch in enumerate(_architectures(pop)):
            if arch not in self.proposed and arch not in known:
                known.add(arch)
                new.append(i)
        return pop[new]
