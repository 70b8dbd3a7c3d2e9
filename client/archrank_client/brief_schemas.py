"""Documents of predictions with `detail="brief"`."""

from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from archrank_client.schemas import Document, FailedItem, FailFastList, Fraction, Interval


class BriefPrediction(Document):
    """Brief prediction of one architecture: the fields of a `Prediction` that order and bound it.

    Attributes:
        accuracy: predicted accuracy, a fraction; None from an ensemble that only ranks.
        interval: prediction interval of the accuracy; None where there is no accuracy.
        ranking_score: sort key, larger is better: see `Prediction`.
        rank: 1 for the best of the request; None where the call took several requests: see `Client.rank`.
        architecture: the caller's architecture; None in the results of a job, which has no copy of it.
    """

    ok: ClassVar[Literal[True]] = True
    accuracy: Fraction | None
    interval: Interval | None
    ranking_score: float | None = None
    rank: int | None = None
    architecture: Any = None

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.accuracy is None and self.ranking_score is None:
            raise ValueError("a prediction has neither accuracy nor ranking_score")
        return self


class BriefPredictionResponse(Document):
    """Body of a response to `POST /v1/predictions` with `detail: brief`."""

    predictions: FailFastList[BriefPrediction | FailedItem]
