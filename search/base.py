"""What a search strategy is. One subclass a strategy; `search.registry` lists them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from models import Architecture, InputError

TRIES = 1000
"""How many in a row may turn out to be known before nothing new is expected."""

Surrogate = Callable[[Sequence[Architecture]], Sequence[float]]
"""What is cheap to ask, as a prediction from structure alone: accuracies (fractions) in the order asked."""


@dataclass(frozen=True)
class Trial:
    """An architecture and what was found of it.

    Attributes:
        architecture: what was tried.
        accuracy: a fraction, predicted or measured; None where it failed.
        flops, params: what it costs; the strategies that weigh cost look at `flops`.
    """

    architecture: Architecture
    accuracy: float | None
    flops: int
    params: int


class SearchDomain(Protocol):
    """Where a strategy may go: a search space, a part of one within limits, or a table of trained architectures."""

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random architecture."""
        ...

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        """A random one next to this one."""
        ...

    def neighbors(self, arch: Architecture) -> Iterable[Architecture]:
        """All that are next to this one."""
        ...

    def crossover(self, one: Architecture, other: Architecture, rng: np.random.Generator) -> Architecture:
        """A random one between these two."""
        ...


class Strategy(ABC):
    """Asks for architectures and is told what came of them, in turn.

    All randomness is from `rng`, and what is asked depends on it and on what was told alone: a search that was cut off
    is resumed by asking again, for as many each time, and telling what its log says.

    Args:
        moves: where it may go.
        rng: all of its randomness.
        guide: cheap predictions, for strategies that use them. A strategy that is `guided` raises `InputError` without.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line, with the source."""
    guided: ClassVar[bool] = False
    """Whether it needs a guide."""

    def __init__(self, moves: SearchDomain, rng: np.random.Generator, guide: Surrogate | None = None) -> None:
        if self.guided and guide is None:
            raise InputError("guide", None, f"cheap predictions, which {self.name} needs")
        self.moves, self.rng, self.guide = moves, rng, guide
        self.asked: set[Architecture] = set()

    @abstractmethod
    def ask(self, n: int) -> list[Architecture]:
        """Up to n architectures to try next, none of them asked for before; none where nothing new can be found.

        May be fewer than n with more to come: a strategy that has to be told first asks for no more until then.
        """

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """What came of all that was asked last, in the same order."""

    def _new(self, draw: Callable[[], Architecture]) -> Architecture | None:
        """The first drawn that was not asked for before, which counts as asked for; None after `TRIES` known ones."""
        for _ in range(TRIES):
            arch = draw()
            if arch not in self.asked:
                self.asked.add(arch)
                return arch
        return None

    def _several(self, n: int, draw: Callable[[], Architecture]) -> list[Architecture]:
        """Up to n new ones."""
        found: list[Architecture] = []
        while len(found) < n and (arch := self._new(draw)) is not None:
            found.append(arch)
        return found

    def _random(self) -> Architecture:
        return self.moves.sample(self.rng)

    def _best_first(self, architectures: Sequence[Architecture]) -> list[Architecture]:
        """By the guide; equal ones as given, those that it says nothing of (NaN) last. Without a guide all as given."""
        if self.guide is None or not architectures:
            return list(architectures)
        predicted = np.asarray(self.guide(architectures), dtype=np.float64)
        order = np.argsort(-np.where(np.isnan(predicted), -np.inf, predicted), kind="stable")
        return [architectures[i] for i in order]


def succeeded(trials: Iterable[Trial]) -> list[tuple[float, Architecture]]:
    """Accuracy and architecture of those that did not fail."""
    return [(trial.accuracy, trial.architecture) for trial in trials if trial.accuracy is not None]
