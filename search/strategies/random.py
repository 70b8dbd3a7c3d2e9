"""Random search."""

from collections.abc import Sequence

from models import Architecture
from search.base import Strategy, Trial


class Random(Strategy):
    """Every architecture is drawn anew: what the others have to beat."""

    name = "random"
    summary = "random search: every architecture drawn anew"

    def ask(self, n: int) -> list[Architecture]:
        return self._several(n, self._random)

    def tell(self, trials: Sequence[Trial]) -> None:
        """Nothing is learned."""
