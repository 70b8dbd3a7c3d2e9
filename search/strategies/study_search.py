"""Search by the suggestions of a study."""

from collections.abc import Callable, Collection, Sequence

import numpy as np

from models import Architecture, InputError
from search.base import SearchDomain, Strategy, Surrogate
from search.trials import Trial

Suggest = Callable[[int, Collection[Architecture], int], Sequence[Architecture]]
"""Function of a number, of architectures to exclude and of a seed that returns architectures to train next."""


class StudySearch(Strategy):
    """Search by the suggestions of a study: a predictor of this task, fitted to the trainings so far and to sources.

    The study observes the trainings itself; see `study`. Proposals depend on its observations and on the seed.

    Args:
        domain: domain of the search.
        rng: source of the seeds of suggestions.
        surrogate: not used.
        suggest: suggestions of the study; required.
    """

    name = "study"
    summary = "suggestions of a study: transfer from other tasks, learned further from each training"
    needs_mutations = False
    needs_training = True

    def __init__(
        self,
        domain: SearchDomain,
        rng: np.random.Generator,
        surrogate: Surrogate | None = None,
        *,
        suggest: Suggest | None = None,
    ) -> None:
        super().__init__(domain, rng, surrogate)
        if suggest is None:
            raise InputError("suggest", None, f"suggestions of a study, which {self.name} needs")
        self._suggest = suggest

    def ask(self, n: int) -> list[Architecture]:
        """Propose the suggestions of the study, without architectures in training."""
        architectures = list(self._suggest(n, self.proposed, self._draw_seed()))
        self.proposed.update(architectures)
        return architectures

    def repeat(self, n: int, proposed: Sequence[Architecture]) -> None:
        """Restore the state without fitting the study again: only the excluded architectures and the seeds matter."""
        self._draw_seed()
        self.proposed.update(proposed)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Do nothing: the study observes the trainings."""

    def _draw_seed(self) -> int:
        return int(self.rng.integers(2**32))
