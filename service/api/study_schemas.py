"""JSON documents of studies."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from service.api.page_sizes import MAX_SUGGESTIONS
from service.api.schemas import EXAMPLE, ArchitectureJson, Document, FailedItem, Interval, Request, Seed, as_integer
from study.definition import Direction, Unit

EXAMPLE_OBSERVATION: dict[str, Any] = {"architecture": EXAMPLE, "value": 0.931, "seconds": 5400.0, "epochs": 80}
ObservationJson = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "title": "Observation",
            "properties": {
                "architecture": {"type": "object", "description": "in a notation of the study's space"},
                "value": {
                    "type": ["number", "null"],
                    "description": "the metric; null if the training failed or still runs",
                },
                "error": {"type": ["string", "null"], "description": "reason of the failure"},
                "seconds": {"type": ["number", "null"], "minimum": 0, "description": "time of the training"},
                "epochs": {"type": ["integer", "null"], "minimum": 0},
                "curve": {
                    "type": ["array", "null"],
                    "items": {"type": "number"},
                    "description": "the metric after each epoch, or each evaluation; with neither value nor error, of "
                    "a training that still runs",
                },
            },
            "required": ["architecture", "value"],
            "additionalProperties": False,
            "examples": [EXAMPLE_OBSERVATION],
        }
    ),
]
Name = Annotated[StrictStr, Field(min_length=1, max_length=200, examples=["my-skeletons"])]
OBSERVATIONS = "in any order; one that the study has is not added again"


class Metric(Request):
    """Metric of the observations."""

    name: Annotated[StrictStr, Field(min_length=1, max_length=200)] = "accuracy"
    direction: Direction = "maximize"
    unit: Unit = Field("fraction", description="`fraction`: 0 to 1; `percent`: 0 to 100; `number`: −1e100 to 1e100")


class StudyRequest(Request):
    """Study to create or to open. An absent field is that of the existing study, else the default."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "my-skeletons", "space": "gcn-nas", "observations": [EXAMPLE_OBSERVATION]}]
        }
    )

    name: Name
    space: StrictStr = Field(examples=["gcn-nas"])
    settings: dict[str, Any] | None = Field(None, description="settings of the search space")
    task: Annotated[StrictStr, Field(max_length=200)] | None = Field(None, description="name of the task or data set")
    metric: Metric | None = None
    sources: list[StrictStr] | None = Field(
        None,
        description="names of ensembles of the space whose predictions are inputs; by default every ensemble of the "
        "space that predicts from structure; `[]`: none",
    )
    observations: list[ObservationJson] = Field([], description=OBSERVATIONS)


class ObservationsRequest(Request):
    """Observations to add: all of them, or none if one is malformed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"observations": [EXAMPLE_OBSERVATION]}]})

    observations: list[ObservationJson] = Field(min_length=1, description=OBSERVATIONS)


class StudyPredictionRequest(Request):
    """Architectures to predict."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [EXAMPLE]}]})

    architectures: list[ArchitectureJson] = Field(min_length=1)


class SuggestionRequest(Request):
    """Number of suggestions."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"number": 5}]})

    number: Annotated[StrictInt, Field(ge=1, le=MAX_SUGGESTIONS), BeforeValidator(as_integer)] = 5
    candidates: list[ArchitectureJson] | None = Field(
        None, min_length=1, description="architectures to choose from; by default random ones of the space"
    )
    seed: Seed = Field(0, description="seed of the candidates")
    reserve: StrictBool = Field(
        True, description="suggest the architectures to nobody else for a day, unless they are observed before"
    )


class ObservationCounts(Document):
    """Numbers of a study's observations."""

    total: int
    trained: int = Field(description="number of architectures with a value")
    failed: int = Field(description="number of architectures whose trainings have all failed")
    running: int = Field(description="number of architectures whose first training still runs")
    architectures: int = Field(description="number of distinct architectures, `trained + failed + running`")


class FittedCounts(Document):
    """Basis of the latest predictor."""

    observations: int
    trained: int = Field(description="number of architectures whose training succeeded")


class QualityPoint(Document):
    """Quality of predictors of n of the study's trained architectures."""

    n: int
    spearman: float | None
    sources_spearman: float | None
    stratum_spearman: float | None
    coverage: float | None


class StudyQuality(Document):
    """Quality of the predictor, by cross-validation on the study's own observations; null where it is not defined."""

    observations: int = Field(description="number of observations that the estimate rests on")
    trained: int
    spearman: float | None = Field(description="rank correlation of held-out predictions and values")
    coverage: float | None = Field(description="fraction of the values inside their held-out intervals")
    sources_spearman: float | None = Field(description="rank correlation of the sources alone")
    stratum_spearman: float | None = Field(description="rank correlation of the stratum alone, e.g. number of layers")
    stratum_label: str | None = Field(description="name of the stratum")
    curve: list[QualityPoint] | None = Field(description="by number of trained architectures; null in a list")


class BestArchitecture(Document):
    """One of the best architectures of a study."""

    architecture: dict[str, Any] = Field(examples=[EXAMPLE])
    value: float = Field(description="mean of its observations")


class StudyDocument(Document):
    """Definition and state of a study."""

    id: str
    name: str
    space: str
    settings: dict[str, Any]
    task: str
    metric: dict[Literal["name", "direction", "unit"], str]
    sources: list[str]
    created_at: datetime
    updated_at: datetime
    observations: ObservationCounts
    fitted: FittedCounts | None = Field(description="null before the first fit since the server's start")
    quality: StudyQuality | None = Field(description="null until it is estimated, after the fit")
    notes: list[str] = Field(description="reasons to trust the predictions less, and errors of the last refit")
    best: list[BestArchitecture] = Field(description="at most 10, best first")


class StudyList(Document):
    """Studies, newest first."""

    studies: list[StudyDocument]


class AddedObservations(Document):
    """Numbers of observations after a post."""

    added: int
    duplicates: int = Field(description="number of posted observations that the study had, or that were posted twice")
    observations: int = Field(description="number of the study's observations")


class ObservedItem(Document):
    """An observation of a study."""

    id: str
    architecture: dict[str, Any] = Field(examples=[EXAMPLE])
    value: float | None
    error: str | None
    seconds: float | None
    epochs: int | None
    curve: list[float] | None
    predicted: float | None = Field(
        description="prediction by a model that was fitted without the architecture, in the unit of the metric; null "
        "before the latest fit includes the observation"
    )


class ObservationPage(Document):
    """A page of observations, in the order of arrival."""

    observations: list[ObservedItem]
    next: str | None = Field(description="path of the next page; null after the last one")


class StudyPredictedItem(Document):
    """An architecture and its prediction by a study."""

    architecture: dict[str, Any] = Field(examples=[EXAMPLE])
    score: float = Field(description="sort key, larger is better in the direction of the metric")
    percentile: float = Field(description="fraction of random architectures that are predicted to be worse")
    value: float | None = Field(description="predicted metric; null below 20 trained architectures")
    interval: Interval | None
    failure_probability: float | None = Field(description="probability that the training fails; null if unknown")
    warnings: list[str]
    curve_length: int | None = Field(
        description="number of values of the curve so far that the prediction of a running training rests on; null if "
        "it rests on none"
    )


class _Answer(Document):
    observations: int = Field(description="number of observations that the answer rests on")
    pending: int = Field(description="number of newer observations, which the next fit includes")
    notes: list[str] = Field(description="reasons to trust the answer less")


class StudyPredictions(_Answer):
    """Predictions of a study, in the order of the request."""

    predictions: list[StudyPredictedItem | FailedItem]


class StudySuggestions(_Answer):
    """Suggested architectures; fewer than requested if no more were found."""

    suggestions: list[StudyPredictedItem]


class StudyExport(Document):
    """Study as one document, for `POST /v1/studies/import`."""

    format: str
    study: dict[str, Any] = Field(description="definition of the study")
    observations: list[dict[str, Any]] = Field(description="sorted by id")


class StudyImport(Request):
    """Document of an export."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "format": "archrank-study-1",
                    "study": {
                        "name": "imported",
                        "space": "gcn-nas",
                        "settings": {},
                        "task": "my skeletons",
                        "metric": {"name": "accuracy", "direction": "maximize", "unit": "fraction"},
                        "sources": [],
                    },
                    "observations": [EXAMPLE_OBSERVATION],
                }
            ]
        }
    )

    format: StrictStr
    study: dict[str, Any] = Field(description="definition of the study")
    observations: list[ObservationJson]
