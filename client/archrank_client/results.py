"""Results of calls, one for each architecture."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar, overload

from archrank_client.brief_schemas import BriefPrediction
from archrank_client.errors import ArchrankError
from archrank_client.schemas import Architecture, Prediction, Scores, Validation
from archrank_client.study_schemas import StudyPrediction

T = TypeVar("T")
P = TypeVar("P", Prediction, BriefPrediction)
_RESULTS = (Prediction, BriefPrediction, Scores, Validation, StudyPrediction)
_RESULT_FIELDS = frozenset().union(*(model.model_fields for model in _RESULTS))


@dataclass(frozen=True)
class Failure:
    """Architecture without a result; the other architectures of the call are not affected.

    Reading a field that a result would have, such as `accuracy`, `scores` or `value`, raises `error`.

    Attributes:
        error: reason; `ArchitectureError` where the architecture was refused.
        architecture: the caller's architecture; None where another process submitted it.
    """

    ok: ClassVar[Literal[False]] = False
    error: ArchrankError
    architecture: Any = None

    def __getattr__(self, name: str) -> Any:
        if name in _RESULT_FIELDS:
            raise self.error.with_traceback(None)  # it would grow with each access
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")


Result = Prediction | BriefPrediction | Scores | Failure
"""Result of one architecture of a job."""


@dataclass(frozen=True)
class Ranked(Generic[P]):
    """Entry of a ranking.

    Attributes:
        rank: 1 for the best; equal ones share a rank; None for a failure.
        position: index in the caller's list.
        result: the prediction, or the failure.
    """

    rank: int | None
    position: int
    result: P | Failure

    @property
    def ok(self) -> bool:
        """True if there is a prediction."""
        return self.result.ok

    @property
    def architecture(self) -> Architecture:
        """The architecture."""
        architecture: Architecture = self.result.architecture
        return architecture

    @property
    def accuracy(self) -> float | None:
        """Predicted accuracy, a fraction; None from an ensemble that only ranks. Raises a failure's error."""
        accuracy: float | None = self.result.accuracy
        return accuracy


def rank_results(results: list[P | Failure]) -> list[Ranked[P]]:
    """Sort results, best first; ties stay in order, failures come last."""
    predicted = [(position, result) for position, result in enumerate(results) if not isinstance(result, Failure)]
    # The server's ranks where one request had them all: the combiner `vote` ranks by contests, not by accuracy.
    has_ranks = all(result.rank is not None for _, result in predicted)
    keys = [-(result.rank or 0) if has_ranks else _sort_key(result) for _, result in predicted]
    ascending = sorted(keys)
    ranked = [
        Ranked(1 + len(ascending) - bisect_right(ascending, key), position, result)
        for key, (position, result) in zip(keys, predicted, strict=True)
    ]
    failed: list[Ranked[P]] = [
        Ranked(None, position, result) for position, result in enumerate(results) if isinstance(result, Failure)
    ]
    return sorted(ranked, key=lambda entry: entry.rank or 0) + failed


def _sort_key(result: Prediction | BriefPrediction) -> float:
    """Accuracy, or the ranking score of an ensemble without accuracies."""
    key = result.ranking_score if result.accuracy is None else result.accuracy
    assert key is not None  # one with neither is refused
    return key


@dataclass(frozen=True)
class StudyAnswer(Sequence[T]):
    """Predictions or suggestions of a study: a sequence, and the observations that it rests on.

    Attributes:
        items: the predictions or suggestions.
        observations: number of observations that they rest on; None where no architecture reached the study.
        pending: number of later observations, which they do not rest on; None where `observations` is.
        notes: reasons not to trust them yet, and what they rest on.
    """

    items: tuple[T, ...]
    observations: int | None
    pending: int | None
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...

    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self.items[index]
