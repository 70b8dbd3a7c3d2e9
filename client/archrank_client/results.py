"""What callers get for each architecture."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from archrank_client.errors import ArchrankError
from archrank_client.schemas import Architecture, Prediction, Scores, Validation

_ANSWERED = frozenset().union(*(model.model_fields for model in (Prediction, Scores, Validation)))


@dataclass(frozen=True)
class Failure:
    """An architecture that has no answer; the others are not concerned.

    What an answer would have, this has not: reading `accuracy`, `scores` or `flops` of it raises its error.

    Attributes:
        error: why; `ArchitectureError` where it was refused.
        architecture: as the caller gave it; None where it was not this process that asked.
    """

    ok: ClassVar[Literal[False]] = False
    error: ArchrankError
    architecture: Any = None

    def __getattr__(self, name: str) -> Any:
        if name in _ANSWERED:
            raise self.error.with_traceback(None)  # which would grow each time
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")


Result = Prediction | Scores | Failure
"""What becomes of one architecture of a job."""


@dataclass(frozen=True)
class Ranked:
    """One of a ranking.

    Attributes:
        rank: 1 for the best; equal accuracies share a rank; None where there is no prediction.
        position: in the list that was given, from 0.
        result: its prediction, or why there is none.
    """

    rank: int | None
    position: int
    result: Prediction | Failure

    @property
    def ok(self) -> bool:
        """Whether there is a prediction."""
        return self.result.ok

    @property
    def architecture(self) -> Architecture:
        """The architecture."""
        found: Architecture = self.result.architecture
        return found

    @property
    def accuracy(self) -> float:
        """The predicted accuracy, a fraction. Raises the failure's error where there is none."""
        return self.result.accuracy

    @classmethod
    def all_of(cls, results: list[Prediction | Failure]) -> "list[Ranked]":
        """Best first; in the order given among equals; failures last."""
        good = [(i, one) for i, one in enumerate(results) if isinstance(one, Prediction)]
        # Where one request answered all, the server's order: a vote is by contests, not by accuracy.
        known = all(one.rank is not None for _, one in good)
        worth = [-(one.rank or 0) if known else one.accuracy for _, one in good]
        better = sorted(worth)
        ranked = [
            cls(1 + len(better) - bisect_right(better, own), i, one) for own, (i, one) in zip(worth, good, strict=True)
        ]
        failed = [cls(None, i, one) for i, one in enumerate(results) if not isinstance(one, Prediction)]
        return sorted(ranked, key=lambda one: one.rank or 0) + failed
