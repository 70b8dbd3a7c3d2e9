"""Random search."""

from collections.abc import Sequence

from models import Architecture
from search.base import Strategy
from search.trials import Trial


class RandomSearch(Strategy):
    """Random search, the baseline: every architecture is sampled independently."""

    name = "random"
    summary = "random search: every architecture is sampled independently"
    needs_mutations = False

    def ask(self, n: int) -> list[Architecture]:
        """Propose up to `n` new random architectures."""
        return self._draw_up_to(n, self._sample)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Do nothing: random search learns nothing from trials."""
