"""Errors of backends."""

from common.errors import ArchrankError
from service.workers.backend import Failure, TaskOutcome


class ClusterError(ArchrankError):
    """A Ray cluster cannot be used."""


class TaskRejectedError(ArchrankError):
    """The backend has no capacity for the task, or is not running."""


class ScoringError(ArchrankError):
    """An architecture could not be scored.

    Attributes:
        failure: failure reported by the backend.
    """

    def __init__(self, outcome: TaskOutcome) -> None:
        self.failure = outcome.failure or Failure("error", "no scores")
        attempts = f" ({outcome.attempts} attempts)" if outcome.attempts > 1 else ""
        super().__init__(f"{self.failure.kind}: {self.failure.detail}{attempts}")
