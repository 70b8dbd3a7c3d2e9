"""Interface of a search strategy and of the domain it searches.

Each strategy is a subclass in a file of its own; `search.registry` lists them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Protocol

import numpy as np

from models import Architecture, InputError
from search.trials import Trial

MAX_REJECTIONS = 1000
"""Draws in a row that may be known already before a strategy gives up."""

Surrogate = Callable[[Sequence[Architecture]], Sequence[float]]
"""Cheap accuracy predictions (fractions), one per architecture, e.g. from structure alone; NaN where unknown."""


class SearchDomain(Protocol):
    """Domain of a search: a search space, the part of one within limits, or a table of trained architectures."""

    def check_editable(self) -> None:
        """Raise `CapabilityError` if the domain has no mutations, neighbors and crossovers."""
        ...

    def check_costed(self) -> None:
        """Raise `CapabilityError` if the costs of its architectures are not known."""
        ...

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Return a random architecture."""
        ...

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a random architecture next to `arch`."""
        ...

    def neighbors(self, arch: Architecture) -> Iterable[Architecture]:
        """Return every architecture next to `arch`."""
        ...

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Return a random recombination of two architectures."""
        ...


class Strategy(ABC):
    """Ask-and-tell search strategy.

    The proposals depend on the random generator and on the trials told so far, on nothing else. A search is therefore
    resumed by asking again, with the same `n` each time, and telling the logged trials, in the same order.

    Args:
        domain: domain of the search.
        rng: source of all randomness.
        surrogate: cheap predictions, for strategies that use them.

    Raises:
        InputError: the strategy needs a surrogate and none was passed.
        CapabilityError: the strategy needs mutations or costs, and the domain has none.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line, with the source."""
    needs_surrogate: ClassVar[bool] = False
    needs_mutations: ClassVar[bool] = True
    needs_costs: ClassVar[bool] = False
    needs_training: ClassVar[bool] = False
    """True if it is made for measured accuracies, of which there are few."""
    asynchronous: ClassVar[bool] = True
    """True if it may be asked for one more architecture before it is told all trials of the last `ask`."""
    required_extra: ClassVar[tuple[str, ...]] = ()
    """Extra of archrank that the strategy needs, and the modules that it imports from it."""

    def __init__(self, domain: SearchDomain, rng: np.random.Generator, surrogate: Surrogate | None = None) -> None:
        if self.needs_surrogate and surrogate is None:
            raise InputError("surrogate", None, f"cheap predictions, which {self.name} needs")
        if self.needs_mutations:
            domain.check_editable()
        if self.needs_costs:
            domain.check_costed()
        self.domain, self.rng, self.surrogate = domain, rng, surrogate
        self.proposed: set[Architecture] = set()

    @abstractmethod
    def ask(self, n: int) -> list[Architecture]:
        """Propose architectures to evaluate next.

        Args:
            n: maximum number of proposals.

        Returns:
            Up to `n` architectures, none proposed before. Fewer than `n` if the strategy has to be told trials first;
            an empty list if it finds nothing new.
        """

    def repeat(self, n: int, proposed: Sequence[Architecture]) -> None:
        """Repeat an `ask` of an earlier run, which proposed these architectures.

        Raises:
            InputError: it proposes other ones.
        """
        asked = self.ask(n)
        if asked != list(proposed):
            keys = [[arch.key for arch in architectures] for architectures in (proposed, asked)]
            raise InputError("log, proposed", keys[0], f"{keys[1]}, which this version proposes here")

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """Report the trials of all architectures of an `ask`, in the same order.

        An `asynchronous` strategy may be asked again before; any other one is told first.
        """

    def _draw_new(self, draw: Callable[[], Architecture]) -> Architecture | None:
        """Draw until an architecture is new, and mark it as proposed; None after `MAX_REJECTIONS` known ones."""
        for _ in range(MAX_REJECTIONS):
            arch = draw()
            if arch not in self.proposed:
                self.proposed.add(arch)
                return arch
        return None

    def _draw_up_to(self, n: int, draw: Callable[[], Architecture]) -> list[Architecture]:
        """Draw up to `n` new architectures."""
        architectures: list[Architecture] = []
        while len(architectures) < n and (arch := self._draw_new(draw)) is not None:
            architectures.append(arch)
        return architectures

    def _sample(self) -> Architecture:
        return self.domain.sample(self.rng)

    def _sort_by_surrogate(self, architectures: Sequence[Architecture]) -> list[Architecture]:
        """Sort by predicted accuracy, the highest first, NaN last, stable; without a surrogate keep the order."""
        if self.surrogate is None or not architectures:
            return list(architectures)
        predicted = np.asarray(self.surrogate(architectures), dtype=np.float64)
        order = np.argsort(-np.where(np.isnan(predicted), -np.inf, predicted), kind="stable")
        return [architectures[i] for i in order]
