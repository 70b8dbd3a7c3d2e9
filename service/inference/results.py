"""Results of scoring and prediction."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isnan

import numpy as np
from numpy.typing import NDArray

from ensemble import Explanation, Prediction, SuggestedMutation
from models import Architecture
from proxies import Score
from service.inference.registry import LoadedEnsemble
from service.inference.scoring_context import ScoringContext


@dataclass(frozen=True)
class ScoredArchitecture:
    """Scores of an architecture.

    Attributes:
        architecture: the architecture.
        context: conditions of the scores.
        scores: scores by proxy, failed ones included.
        cached: true if nothing was computed.
    """

    architecture: Architecture
    context: ScoringContext
    scores: Mapping[str, Score]
    cached: bool

    @property
    def warnings(self) -> list[str]:
        """Differences from the architectures of the space's benchmark."""
        return self.context.space.warnings(self.architecture)


@dataclass(frozen=True)
class PredictedArchitecture(ScoredArchitecture):
    """Prediction of an architecture.

    Attributes:
        ensemble: the ensemble that predicted.
        prediction: estimates of its combiners.
        stratum: stratum of the architecture; None in a space without features.
        explanation: attributions of the prediction, if requested.
        suggested_mutations: mutations that raise the prediction, best first, if requested.
    """

    ensemble: LoadedEnsemble
    prediction: Prediction
    stratum: int | None
    explanation: Explanation | None = None
    suggested_mutations: Sequence[SuggestedMutation] | None = None

    @property
    def warnings(self) -> list[str]:
        """Reasons to trust the prediction less."""
        return self.prediction.warnings


ItemResult = ScoredArchitecture | PredictedArchitecture | Exception
"""Result of one architecture, or the error that prevented it."""


@dataclass(frozen=True)
class ScoreResult:
    """Result of a scoring request.

    Attributes:
        items: scores of each architecture, or its error, in the order of the request.
        context: conditions of the scores.
        seconds: time from parsing to the result, including queueing.
    """

    items: Sequence[ScoredArchitecture | Exception]
    context: ScoringContext
    seconds: float


@dataclass(frozen=True)
class PredictionResult:
    """Result of a prediction request.

    Attributes:
        items: prediction of each architecture, or its error, in the order of the request.
        ensemble: the ensemble that predicted.
        context: conditions of the scores.
        seconds: time from parsing to the result, including queueing.
        win_probability: (N, N), probability that the architecture of the row has a higher accuracy than that of the
            column; NaN for items without a prediction. None unless requested, and from an ensemble that only ranks.
    """

    items: Sequence[PredictedArchitecture | Exception]
    ensemble: LoadedEnsemble
    context: ScoringContext
    seconds: float
    win_probability: NDArray[np.float64] | None = None

    def rank(self, item: PredictedArchitecture) -> int:
        """Return the rank of an item, 1 for the best; equal ones share a rank."""
        scores = self._ranking_scores
        return 1 + len(scores) - bisect_right(scores, item.prediction.ranking_score)

    @cached_property
    def _ranking_scores(self) -> list[float]:
        """Ranking scores of all predictions, ascending, without NaN."""
        scores = (item.prediction.ranking_score for item in self.items if not isinstance(item, Exception))
        return sorted(score for score in scores if not isnan(score))
