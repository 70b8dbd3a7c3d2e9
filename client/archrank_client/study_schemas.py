"""Documents of studies. The rules of `schemas` apply: additional fields are kept, missing ones have defaults."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, RootModel

from archrank_client.schemas import Architecture, Count, Document, FailedItem, FailFastList, Fraction

Correlation = Annotated[float, Field(ge=-1, le=1)]
Name = Annotated[str, Field(pattern="^[!-~]{1,200}$")]


class StudyMetric(Document):
    """Metric of a study's trained architectures.

    Attributes:
        name: name for users, e.g. `accuracy`.
        direction: `maximize` or `minimize`.
        unit: `fraction` (0 to 1), `percent` (0 to 100) or `number` (−1e100 to 1e100).
    """

    name: str
    direction: str
    unit: str


class ObservationCounts(Document):
    """Numbers of a study's observations.

    Attributes:
        total: observations, failed trainings included.
        trained: architectures with a value.
        failed: architectures whose trainings have all failed.
        running: architectures whose first training still runs.
        architectures: different architectures, `trained + failed + running`.
    """

    total: Count
    trained: Count
    failed: Count
    running: Count = 0
    architectures: Count


class FittedCounts(Document):
    """Numbers of observations, and of trained architectures among them, that the last fit rests on."""

    observations: Count
    trained: Count


class QualityPoint(Document):
    """Cross-validated quality at a number of trained architectures; None where a metric is not defined.

    Attributes:
        n: number of trained architectures.
        spearman: rank correlation of the study's predictions with the held-out values.
        sources_spearman: the same of the sources alone.
        stratum_spearman: the same of the stratum alone, e.g. the number of layers.
        coverage: fraction of the held-out values inside their prediction intervals.
    """

    n: Count
    spearman: Correlation | None = None
    sources_spearman: Correlation | None = None
    stratum_spearman: Correlation | None = None
    coverage: Fraction | None = None


class StudyQuality(Document):
    """Quality of a study, cross-validated on its own observations; None where a metric is not defined.

    Attributes:
        observations: number of observations that the estimate rests on.
        trained: number of trained architectures among them.
        spearman: as in `QualityPoint`.
        sources_spearman: as in `QualityPoint`.
        stratum_spearman: as in `QualityPoint`.
        coverage: as in `QualityPoint`.
        stratum_label: name of the strata, e.g. `number of layers`.
        curve: quality by the number of trained architectures; None in `Client.studies`.
    """

    observations: Count
    trained: Count
    spearman: Correlation | None = None
    sources_spearman: Correlation | None = None
    stratum_spearman: Correlation | None = None
    coverage: Fraction | None = None
    stratum_label: str | None = None
    curve: FailFastList[QualityPoint] | None = None


class TrainedArchitecture(Document):
    """Trained architecture and its value, the mean over its trainings."""

    architecture: Architecture
    value: float


class StudyState(Document):
    """State of a study.

    Attributes:
        id: identifier of the study.
        name: name of the study, unique among those of its API key.
        space: name of the search space.
        settings: settings of the space.
        task: name of the task or data set.
        metric: metric of the observations.
        sources: names of the ensembles of other tasks whose predictions are inputs.
        created_at: time of creation.
        updated_at: time of the last change.
        observations: numbers of observations.
        fitted: numbers that the last fit rests on; None before the first.
        quality: cross-validated quality; None before the first estimate.
        notes: reasons not to trust the predictions yet, and what they rest on.
        best: best trained architectures, best first.
    """

    id: Name
    name: str
    space: str
    settings: dict[str, Any] = Field(default_factory=dict)
    task: str = ""
    metric: StudyMetric
    sources: FailFastList[str] = Field(default_factory=list)
    created_at: datetime
    updated_at: datetime
    observations: ObservationCounts
    fitted: FittedCounts | None = None
    quality: StudyQuality | None = None
    notes: FailFastList[str] = Field(default_factory=list)
    best: FailFastList[TrainedArchitecture] = Field(default_factory=list)


class StudyList(Document):
    """Body of a response to `GET /v1/studies`."""

    studies: FailFastList[StudyState]


class StudyInterval(Document):
    """Prediction interval of the metric, in its unit.

    Attributes:
        low: lower bound.
        high: upper bound.
        level: probability that the interval contains the value.
    """

    low: float
    high: float
    level: Fraction


class StudyPrediction(Document):
    """Prediction of a study for one architecture.

    Attributes:
        architecture: the architecture in the server's notation.
        score: sort key, larger is better in the study's direction.
        percentile: fraction of random architectures of the space that are predicted to be worse.
        value: predicted metric, in its unit; None from fewer than 20 trained architectures.
        interval: prediction interval of the metric; None where `value` is.
        failure_probability: probability that the training fails; None if too few have failed or succeeded.
        warnings: reasons to trust the prediction less.
        curve_length: number of values of the curve so far that the prediction of a running training rests on; None if
            it rests on none.
    """

    ok: ClassVar[Literal[True]] = True
    architecture: Architecture
    score: float
    percentile: Fraction
    value: float | None = None
    interval: StudyInterval | None = None
    failure_probability: Fraction | None = None
    warnings: FailFastList[str] = Field(default_factory=list)
    curve_length: Count | None = None


class StudyBasis(Document):
    """Part that all answers of a study have.

    Attributes:
        observations: number of observations that the answer rests on.
        pending: number of later observations, which it does not rest on.
        notes: reasons not to trust the answer yet, and what it rests on.
    """

    observations: Count
    pending: Count
    notes: FailFastList[str] = Field(default_factory=list)


class StudyPredictionResponse(StudyBasis):
    """Body of a response to `POST /v1/studies/{id}/predictions`."""

    predictions: FailFastList[StudyPrediction | FailedItem]


class SuggestionResponse(StudyBasis):
    """Body of a response to `POST /v1/studies/{id}/suggestions`."""

    suggestions: FailFastList[StudyPrediction]


class ObserveResult(Document):
    """Result of observing.

    Attributes:
        added: number of new observations.
        duplicates: number of observations that the study had already, also from an earlier attempt at the request.
        observations: number of observations of the study.
    """

    added: Count
    duplicates: Count
    observations: Count


class StudyObservation(Document):
    """Observation of a study: one training of an architecture.

    Attributes:
        id: identifier, a hash of the content.
        architecture: the architecture in the server's notation.
        value: metric after the training; None if the training failed or still runs.
        error: reason of the failure.
        seconds: time of the training.
        epochs: number of epochs.
        curve: metric after each epoch or evaluation, so far.
        predicted: prediction of the value by a fit without this architecture; None where there is none.
    """

    id: Name
    architecture: Architecture
    value: float | None
    error: str | None = None
    seconds: float | None = None
    epochs: int | None = None
    curve: FailFastList[float] | None = None
    predicted: float | None = None


class ObservationPage(Document):
    """Page of observations; `next` is the path of the next page, None after the last."""

    observations: FailFastList[StudyObservation]
    next: str | None


class StudyExport(RootModel[dict[str, Any]]):
    """Exported study."""
