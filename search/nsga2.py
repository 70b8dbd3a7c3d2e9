"""pymoo's NSGA-II over architectures: what it draws, crosses, mutates and takes for equal."""

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
from search.base import TRIES, SearchDomain, Trial

Config.warnings["not_compiled"] = False  # a hint on standard output, as if it were ours


class Nsga2:
    """Generations that go for high accuracy and few FLOPs; each is new: none of it is in `asked`, none twice in it."""

    def __init__(self, moves: SearchDomain, asked: Set[Architecture], pool: int, seed: int) -> None:
        self._algorithm = NSGA2(
            pop_size=pool,
            sampling=_Sample(moves, asked),
            crossover=_Cross(moves),
            mutation=_Mutate(moves),
            eliminate_duplicates=_OnlyNew(asked),
            termination=NoTermination(),
            seed=seed,
        )
        self._algorithm.setup(Problem(n_var=1, n_obj=2))
        self._generation: Any = None

    def next(self) -> list[Architecture]:
        """The next generation; none where nothing new can be found."""
        self._generation = self._algorithm.ask()
        return [] if self._generation is None else _architectures(self._generation)

    def tell(self, trials: Sequence[Trial]) -> None:
        """What came of the generation, in its order. pymoo is not told of what failed."""
        done = [(i, -trial.accuracy, trial.flops) for i, trial in enumerate(trials) if trial.accuracy is not None]
        if done:
            living = self._generation[[i for i, _, _ in done]]
            living.set("F", np.array([goals for _, *goals in done], dtype=np.float64))
            self._algorithm.tell(infills=living)


def _architectures(population: Any) -> list[Architecture]:
    return [individual.X[0] for individual in population]


def _variables(architectures: Sequence[Architecture], shape: tuple[int, ...]) -> NDArray[np.object_]:
    """As pymoo keeps them: the last axis has length 1, an individual's only variable."""
    values = np.empty(len(architectures), dtype=object)
    values[:] = architectures
    return values.reshape(shape)


class _Sample(Sampling):  # type: ignore[misc]
    def __init__(self, moves: SearchDomain, asked: Set[Architecture]) -> None:
        super().__init__()
        self.moves, self.asked = moves, asked

    def _do(self, problem: Any, n_samples: int, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        found: dict[Architecture, None] = {}
        known = 0
        while len(found) < n_samples and known < TRIES:
            arch = self.moves.sample(random_state)
            if arch in self.asked or arch in found:
                known += 1
            else:
                found[arch], known = None, 0
        return _variables(list(found), (-1, 1))


class _Cross(Crossover):  # type: ignore[misc]
    """Two children of two parents."""

    def __init__(self, moves: SearchDomain) -> None:
        super().__init__(n_parents=2, n_offsprings=2)
        self.moves = moves

    def _do(self, problem: Any, X: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        first, second = X[:, :, 0]
        pairs = [*zip(first, second, strict=True), *zip(second, first, strict=True)]
        return _variables([self.moves.crossover(one, other, random_state) for one, other in pairs], X.shape)


class _Mutate(Mutation):  # type: ignore[misc]
    """One edit each."""

    def __init__(self, moves: SearchDomain) -> None:
        super().__init__()
        self.moves = moves

    def _do(self, problem: Any, X: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        return _variables([self.moves.mutate(arch, random_state) for arch in X[:, 0]], X.shape)


class _OnlyNew(DuplicateElimination):  # type: ignore[misc]
    """Leaves out what was asked for before, not only what still lives."""

    def __init__(self, asked: Set[Architecture]) -> None:
        super().__init__()
        self.asked = asked

    def do(self, pop: Any, *others: Any, **kwargs: Any) -> Any:
        known = {arch for other in others for arch in _architectures(other)}
        new = []
        for i, arch in enumerate(_architectures(pop)):
            if arch not in self.asked and arch not in known:
                known.add(arch)
                new.append(i)
        return pop[new]
