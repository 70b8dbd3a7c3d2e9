"""Where a strategy may go: a search space within limits, or a table of architectures."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models import Architecture, Cost, InputError, SearchSpace
from models.base import Shape
from models.batches.spec import BatchSpec

TRIES = 10_000
"""How many random architectures in a row may lie beyond the limits until these are said to leave nothing."""
EDITS = 200
"""How many edits or crosses in a row may."""


class SpaceMoves:
    """A search space, or the part of it within limits: what lies beyond them is drawn again.

    Args:
        space: the search space.
        depth: only architectures of so many layers.
        max_flops, max_params: the most FLOPs of a forward pass, the most parameters.
        shape: of the batch that FLOPs are counted for; that of the default probe batch where not given.

    Raises:
        InputError: names the limit that leaves nothing, and the least that random architectures need.
    """

    def __init__(
        self,
        space: SearchSpace[Architecture],
        depth: int | None = None,
        max_flops: int | None = None,
        max_params: int | None = None,
        shape: Shape | None = None,
    ) -> None:
        batch = BatchSpec()
        self.space, self.shape = space, shape or space.input_shape(batch.batch_size, batch.frames)
        self.depth, self.max_flops, self.max_params = depth, max_flops, max_params
        self.sample(np.random.default_rng(0))

    def cost(self, arch: Architecture) -> Cost:
        """Parameters, and FLOPs of a forward pass of the batch."""
        return self.space.cost(arch, self.shape)

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Raises `InputError` where none of many random architectures keeps the limits."""
        fixed = {} if self.depth is None else {"depth": self.depth}
        costs = []
        for _ in range(TRIES):
            arch = self.space.sample(rng, **fixed)
            costs.append(self.cost(arch))
            if self._affords(costs[-1]):
                return arch
        raise self._nothing(costs)

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        """A random edit; a random architecture where no edit seems to keep the limits."""
        for _ in range(EDITS):
            mutant = self.space.mutate(arch, rng)
            if self._allows(mutant):
                return mutant
        return self.sample(rng)

    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        return (other for other in self.space.neighbors(arch) if self._affords(self.cost(other)))

    def crossover(self, one: Architecture, other: Architecture, rng: np.random.Generator) -> Architecture:
        """Layers of both; the first parent where no cross seems to keep the limits."""
        for _ in range(EDITS):
            child = self.space.crossover(one, other, rng)
            if self._allows(child):
                return child
        return one

    def _allows(self, arch: Architecture) -> bool:
        return self._affords(self.cost(arch)) and self.depth in (None, arch.depth)

    def _affords(self, cost: Cost) -> bool:
        return (self.max_flops is None or cost.flops <= self.max_flops) and (
            self.max_params is None or cost.params <= self.max_params
        )

    def _nothing(self, costs: Sequence[Cost]) -> InputError:
        """Which limit is to blame."""
        seen = f"of {len(costs)} random architectures" + (f" of {self.depth} layers" if self.depth is not None else "")
        for field, limit, least in (
            ("max_flops", self.max_flops, min(cost.flops for cost in costs)),
            ("max_params", self.max_params, min(cost.params for cost in costs)),
        ):
            if limit is not None and least > limit:
                return InputError(field, limit, f"at least {least}, the least {seen}")
        return InputError("max_params", self.max_params, f"more, or more max_flops: none {seen} keeps both limits")


class TableMoves:
    """A table of architectures, for replays: a step leads to a member that is near.

    How far apart two are is the share of their modules that only one of them has (Jaccard), slot by slot of the
    backbone; in a slot that an architecture lacks it has none. By the number of such modules instead, small
    architectures would be near to everything, and whoever took steps at random would end among them.

    Args:
        space: theirs; it has features `slot<number>.<module>`.
        architectures: the members, each once.
        near: how many of the nearest are a member's neighbours; of equally near ones the first in the table.
    """

    def __init__(self, space: SearchSpace[Architecture], architectures: Sequence[Architecture], near: int = 20) -> None:
        modules = tuple(f".{module}" for module in space.describe()["modules"])
        names = space.feature_names
        self._columns = [i for i, name in enumerate(names) if name.startswith("slot") and name.endswith(modules)]
        self.space, self.architectures = space, list(architectures)
        self._row = {arch: i for i, arch in enumerate(self.architectures)}
        self._modules = self._present(self.architectures)
        self.distances = np.stack([self._away(row) for row in self._modules])
        """Between members, (n, n)."""
        itself_first = self.distances - np.eye(len(self.architectures))
        self._nearest = itself_first.argsort(axis=1, kind="stable")[:, 1 : near + 1]

    def sample(self, rng: np.random.Generator) -> Architecture:
        return self.architectures[int(rng.integers(len(self.architectures)))]

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        """One of the neighbours."""
        return self.architectures[int(rng.choice(self._nearest[self._row[arch]]))]

    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        """The nearest first."""
        return (self.architectures[i] for i in self._nearest[self._row[arch]])

    def crossover(self, one: Architecture, other: Architecture, rng: np.random.Generator) -> Architecture:
        """The member nearest to a cross of the two in their space."""
        (child,) = self._present([self.space.crossover(one, other, rng)])
        return self.architectures[int(self._away(child).argmin())]

    def _present(self, architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        """Which modules they have, (n, slots × modules)."""
        return self.space.feature_values(architectures)[:, self._columns] > 0

    def _away(self, modules: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.asarray((self._modules ^ modules).sum(axis=1) / (self._modules | modules).sum(axis=1))
