"""What a search strategy is. One subclass a strategy; `search.registry` lists them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from models import Architecture

Guide = Callable[[Sequence[Architecture]], Sequence[float]]
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


class Moves(Protocol):
    """Where a strategy may go: a search space, a part of one within limits, or a table of trained architectures."""

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random architecture."""
        ...

    def mutate(self, arch: Architecture, rng: np.random.Generator) -> Architecture:
        """A random one next to this one."""
        ...

    def neighbours(self, arch: Architecture) -> Iterable[Architecture]:
        """All that are next to this one."""
        ...


class Strategy(ABC):
    """Asks for architectures and is told what came of them.

    All randomness is from `rng`, and what is asked depends on it and on what was told alone: a search that was cut off
    is resumed by asking and telling again what its log says.

    Args:
        moves: where it may go.
        rng: all of its randomness.
        guide: cheap predictions, for strategies that need them.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line, with the source."""
    guided: ClassVar[bool] = False
    """Whether it needs a guide."""

    def __init__(self, moves: Moves, rng: np.random.Generator, guide: Guide | None = None) -> None:
        self.moves, self.rng, self.guide = moves, rng, guide

    @abstractmethod
    def ask(self, n: int) -> list[Architecture]:
        """Up to n architectures to try next, none of them asked for before; none where nothing new can be found."""

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """What came of all that was asked last, in the same order."""
