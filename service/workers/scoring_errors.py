"""What a scorer raises."""

from models import ArchrankError
from service.workers.base import Failure, Outcome


class ScoringError(ArchrankError):
    """An architecture could not be scored. `failure`: why, as the backend says."""

    def __init__(self, outcome: Outcome) -> None:
        self.failure = outcome.failure or Failure("error", "no scores")
        tries = f" ({outcome.tries} tries)" if outcome.tries > 1 else ""
        super().__init__(f"{self.failure.kind}: {self.failure.detail}{tries}")
