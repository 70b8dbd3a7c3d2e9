"""Domains of a search: a search space within limits, or a table of architectures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import (
    Architecture,
    BuildableSpace,
    Cost,
    CostedSpace,
    EditableSpace,
    EncodedSpace,
    InputError,
    SearchSpace,
    Shapes,
    require,
)

MAX_SAMPLES = 10_000
"""Random architectures in a row that may exceed the limits before these are refused."""
MAX_VARIATIONS = 200
"""Mutations or crossovers of the same parents in a row that may exceed the limits."""


class SpaceDomain:
    """A search space, or the part of it within limits, by rejection sampling.

    Args:
        space: search space.
        fixed: properties that all architectures have, such as `{"depth": 6}`: those that the space's `sample` takes.
        max_flops: maximum FLOPs of a forward pass.
        max_params: maximum number of parameters.
        shapes: shapes of the batch that FLOPs are counted for; by default that of the default probe batch, or the
            reference input of a space whose networks cannot be built.

    Raises:
        InputError: the limits leave no architecture, the error then names the limit and the least that random
            architectures need; or a property cannot be fixed.
        CapabilityError: there are limits, and the space has no costs.
    """

    def __init__(
        self,
        space: SearchSpace[Any],
        fixed: Mapping[str, Any] | None = None,
        max_flops: int | None = None,
        max_params: int | None = None,
        shapes: Shapes | None = None,
    ) -> None:
        self.space, self.shapes = space, shapes
        if shapes is None and isinstance(space, BuildableSpace):
            self.shapes = space.task.input_shapes()
        self.fixed, self.max_flops, self.max_params = dict(fixed or {}), max_flops, max_params
        if max_flops is not None or max_params is not None:
            self.check_costed()
        arch = self.sample(np.random.default_rng(0))
        for name in self.fixed:
            self._property(arch, name)

    def check_editable(self) -> None:
        """Raise `CapabilityError` if the space has no mutations."""
        require(self.space, EditableSpace)

    def check_costed(self) -> None:
        """Raise `CapabilityError` if the space has no costs."""
        require(self.space, CostedSpace)

    def cost(self, arch: Architecture) -> Cost | None:
        """Parameters, and FLOPs of one forward pass of the batch; None in a space without costs."""
        return self.space.cost(arch, self.shapes) if isinstance(self.space, CostedSpace) else None

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random architecture within the limits.

        Raises:
            InputError: none of `MAX_SAMPLES` random architectures is within the limits.
        """
        costs = []
        for _ in range(MAX_SAMPLES):
            arch: Architecture = self.space.sample(rng, **self.fixed)
            cost = self.cost(arch)
            if cost is None or self._is_affordable(cost):
                return arch
            costs.append(cost)
        raise self._limits_error(costs)

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a random mutation within the limits; a random architecture if none is found."""
        for _ in range(MAX_VARIATIONS):
            mutant: Architecture = require(self.space, EditableSpace).mutate(arch, rng)
            if self._is_within_limits(mutant):
                return mutant
        return self.sample(rng)

    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        """Iterate over the neighbors within the limits."""
        return (
            neighbor
            for neighbor in require(self.space, EditableSpace).neighbors(arch)
            if self._is_within_limits(neighbor)
        )

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a random crossover within the limits; the first parent if none is found."""
        for _ in range(MAX_VARIATIONS):
            child: Architecture = require(self.space, EditableSpace).crossover(first, second, rng)
            if self._is_within_limits(child):
                return child
        return first

    def _is_within_limits(self, arch: Architecture) -> bool:
        cost = self.cost(arch)
        fits = cost is None or self._is_affordable(cost)
        return fits and all(self._property(arch, name) == value for name, value in self.fixed.items())

    def _property(self, arch: Architecture, name: str) -> Any:
        """Return a property of an architecture: one of its attributes, or a structural feature."""
        if hasattr(arch, name):
            return getattr(arch, name)
        if isinstance(self.space, EncodedSpace) and name in self.space.feature_names:
            return self.space.features(arch)[name]
        raise InputError(f"fixed, {name}", self.fixed[name], f"a property of the architectures of {self.space.name}")

    def _is_affordable(self, cost: Cost) -> bool:
        return (self.max_flops is None or cost.flops <= self.max_flops) and (
            self.max_params is None or cost.params <= self.max_params
        )

    def _limits_error(self, costs: Sequence[Cost]) -> InputError:
        """Error that names the limit that all of these costs exceed."""
        fixed = ", ".join(f"{name} {value}" for name, value in self.fixed.items())
        sampled = f"{len(costs)} random architectures" + (f" of {fixed}" if fixed else "")
        for field, limit, least in (
            ("max_flops", self.max_flops, min(cost.flops for cost in costs)),
            ("max_params", self.max_params, min(cost.params for cost in costs)),
        ):
            if limit is not None and least > limit:
                return InputError(field, limit, f"at least {least}, the least of {sampled}")
        allowed = f"more, or more max_flops: none of {sampled} is within both limits"
        return InputError("max_params", self.max_params, allowed)


class TableDomain:
    """A table of architectures, for replays on a benchmark: mutations and neighbors are near rows of the table.

    The distance of two architectures is the Jaccard distance of their indicators, i.e. of the 0/1 features of all
    feature groups: the share of indicators that only one of them has. (By the plain number of such indicators, small
    architectures would be near to all others, and random steps would end among them.)

    Args:
        space: search space of the architectures.
        architectures: the rows, without duplicates.
        num_neighbors: number of nearest rows that are neighbors; ties are broken by the order of the table.

    Attributes:
        distances: distances between the rows, (n, n).

    Raises:
        CapabilityError: the space has no structural features.
        InputError: none of them are indicators.
    """

    def __init__(self, space: SearchSpace[Any], architectures: Sequence[Architecture], num_neighbors: int = 20) -> None:
        self.space, self.architectures = require(space, EncodedSpace), list(architectures)
        names = self.space.feature_names
        indicators = {name for group in self.space.feature_groups for name in group.indicators}
        if not indicators:
            raise InputError("space", space.name, "a space whose feature groups have indicators")
        self._columns = [i for i, name in enumerate(names) if name in indicators]
        self._row = {arch: i for i, arch in enumerate(self.architectures)}
        self._masks = self._indicators(self.architectures)
        self.distances = np.stack([self._distances_to(mask) for mask in self._masks])
        self_first = self.distances - np.eye(len(self.architectures))
        self._nearest = self_first.argsort(axis=1, kind="stable")[:, 1 : num_neighbors + 1]

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random row."""
        return self.architectures[int(rng.integers(len(self.architectures)))]

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a random neighbor."""
        return self.architectures[int(rng.choice(self._nearest[self._row[arch]]))]

    def neighbors(self, arch: Architecture) -> Iterator[Architecture]:
        """Iterate over the neighbors, the nearest first."""
        return (self.architectures[i] for i in self._nearest[self._row[arch]])

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Return the row nearest to a random crossover in the search space."""
        (mask,) = self._indicators([require(self.space, EditableSpace).crossover(first, second, rng)])
        return self.architectures[int(self._distances_to(mask).argmin())]

    def check_editable(self) -> None:
        """Do nothing: the neighbors of a row are near rows."""

    def check_costed(self) -> None:
        """Raise `CapabilityError` if the space has no costs."""
        require(self.space, CostedSpace)

    def _indicators(self, architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
        """Indicators of each architecture, (n, indicators)."""
        return self.space.feature_values(architectures)[:, self._columns] > 0

    def _distances_to(self, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Jaccard distances of all rows to the indicators of one architecture, (n,)."""
        return np.asarray((self._masks ^ mask).sum(axis=1) / np.maximum((self._masks | mask).sum(axis=1), 1))
