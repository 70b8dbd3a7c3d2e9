"""JSON documents of requests and responses."""

import math
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from common.errors import InputError, UnknownNameError
from models.registry import BUILT_IN
from proxies import Score
from proxies.base import Status
from service.api.problems import Problem
from service.inference.queries import Detail, PredictionQuery, ScoreQuery

EXAMPLE: dict[str, Any] = next(iter(BUILT_IN[0]().presets.values()))
"""A published architecture of the first search space."""
ArchitectureJson = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "title": "Architecture",
            "description": "An architecture in a notation of its search space: `GET /v1/spaces` has the JSON Schema of "
            "each. Without `space`, it is of the request's space.",
            "properties": {"space": {"type": "string"}},
            "examples": [EXAMPLE],
        }
    ),
]
Settings = Annotated[
    dict[str, Any] | None,
    Field(description="settings of the search space, which choose the task; by default those of the ensemble"),
]


def as_integer(number: Any) -> Any:
    """Convert 3.0 to 3: JSON has one kind of number."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Integer = Annotated[StrictInt, BeforeValidator(as_integer)]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**32), BeforeValidator(as_integer)]


class Request(BaseModel):
    """Base of request documents. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_fields(cls, data: Any) -> Any:
        for name in data if isinstance(data, dict) else ():
            if name not in cls.model_fields:
                raise UnknownNameError("field", name, list(cls.model_fields))
        return data


class _ArchitecturesRequest(Request):
    architectures: list[ArchitectureJson] = Field(min_length=1)
    space: StrictStr | None = Field(
        None,
        description="search space of all architectures; by default that of the ensemble, or the first that they name, "
        "or the default ensemble's",
    )
    settings: Settings = None


class _ProxiesRequest(_ArchitecturesRequest):
    proxies: list[StrictStr] | None = Field(None, description="names of proxies; by default those that are used")
    seed: Seed | None = Field(None, description="seed of initial weights and random inputs; by default the ensemble's")


BatchFields = Annotated[
    dict[str, Seed] | None,
    Field(description="seed and sizes of a synthetic probe batch, e.g. `batch_size`; by default the ensemble's batch"),
]


class ScoreRequest(_ProxiesRequest):
    """Architectures to score by zero-cost proxies."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [EXAMPLE], "proxies": ["nwot"]}]})

    batch: BatchFields = None

    def to_query(self) -> ScoreQuery:
        """Return the parameters of the request."""
        return ScoreQuery(self.proxies, self.seed, self.space, self.settings, self.batch)


class PredictionRequest(_ProxiesRequest):
    """Architectures to predict. `proxies: []` predicts from structure alone and builds no network."""

    explain: StrictBool = Field(False, description="add `explanation` and `suggested_mutations` to each prediction")
    compare: StrictBool = Field(False, description="add `win_probability`, the pairwise comparison")
    ensemble: StrictStr | None = Field(
        None, description="name of the ensemble; by default the server's, if it is of the space, else the space's first"
    )
    combiner: StrictStr | None = Field(None, description="name of the combiner; by default the ensemble's")
    detail: Detail = Field("full", description="`brief`: accuracy, interval, ranking score and rank alone, for speed")

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [EXAMPLE]}]})

    def to_query(self) -> PredictionQuery:
        """Return the parameters of the request, apart from `compare`. Raises `InputError` for a brief explanation."""
        if self.explain and self.detail == "brief":
            raise InputError("explain", True, "false with detail 'brief', which has no explanations")
        return PredictionQuery(
            self.proxies, self.seed, self.ensemble, self.combiner, self.explain, self.space, self.settings, self.detail
        )


class Document(BaseModel):
    """Base of response documents. Numbers that are not finite are errors, since JSON has none."""

    model_config = ConfigDict(allow_inf_nan=False)


class ProxyScore(Document):
    """Score of one proxy on one network."""

    value: float | None = Field(examples=[391.2])
    log: float | None = Field(description="natural logarithm, for proxies whose values grow exponentially with depth")
    status: Status = Field(
        examples=["ok"],
        description="`not_applicable`: undefined for the space's networks or task, for the reason `note`",
    )
    seconds: float = Field(description="time of the computation, also for a cached score")
    error: str | None
    note: str | None

    @classmethod
    def from_score(cls, score: Score) -> "ProxyScore":
        """Convert a score. Infinities and NaN become null; an applicable score without a finite number has failed."""
        value, logarithm = _finite(score.value), _finite(score.log)
        failed = value is None and logarithm is None and score.status != "not_applicable"
        return cls(
            value=value,
            log=logarithm,
            status="failed" if failed else score.status,
            seconds=score.seconds,
            error=score.error or ("the score is not finite" if failed else None),
            note=score.note,
        )


class FailedItem(Document):
    """An architecture that could not be read or scored; the other architectures are not affected."""

    error: Problem


class ScoredItem(Document):
    """An architecture and its proxy scores."""

    architecture: dict[str, Any] = Field(examples=[EXAMPLE])
    fingerprint: str = Field(description="hash of the network, independent of the notation")
    scores: dict[str, ProxyScore]
    cached: bool = Field(description="true if nothing was computed for this response")
    warnings: list[str]


class Interval(Document):
    """Prediction interval of the accuracy."""

    low: float = Field(examples=[0.9268])
    high: float = Field(examples=[0.9345])
    level: float = Field(examples=[0.9], description="probability that the interval contains the accuracy")


class Estimate(Document):
    """Prediction of one combiner."""

    accuracy: float | None = Field(
        examples=[0.9312], description="a fraction; null from an ensemble that only ranks (`ranks_only` of its card)"
    )
    interval: Interval | None = Field(description="null where `accuracy` is")
    percentile: float = Field(examples=[0.42], description="fraction of the reference set that is predicted worse")


class Attribution(Document):
    """Contribution of one feature group to the prediction."""

    feature_group: str = Field(
        examples=["layers[3] (L2, T)"], description="a part of the architecture, a proxy or a source"
    )
    contribution: float = Field(
        description="fraction of accuracy; of the stratum relative to the whole reference set, of all else relative to "
        "the mean contribution in that stratum"
    )


class Explanation(Document):
    """Shapley values: `base_value` and all contributions add up to the prediction of `combiner`."""

    combiner: str = Field(
        description="combiner whose prediction is explained; `structure` if the requested one has no attributions"
    )
    base_value: float = Field(description="mean prediction over the reference set, a fraction")
    attributions: list[Attribution] = Field(description="by decreasing absolute contribution")


class SuggestedMutation(Document):
    """Change of one choice in the architecture."""

    mutation: dict[str, Any] = Field(
        examples=[{"layer": 3, "module": "S", "action": "add"}], description="in the words of the search space"
    )
    architecture: dict[str, Any] | None = Field(
        None, examples=[EXAMPLE], description="the mutated architecture; null in results of earlier versions"
    )
    accuracy: float = Field(description="its prediction from structure, a fraction")
    accuracy_gain: float = Field(description="difference to the prediction from structure for the architecture itself")


class EstimatedItem(ScoredItem, Estimate):
    """An architecture and its prediction."""

    stratum: int | None = Field(
        None,
        examples=[10],
        description="e.g. the number of layers; null for a space without features and in results of earlier versions",
    )
    ensemble: str = Field(examples=["gcn-nas-ntu"], description="name of the ensemble")
    ensemble_hash: str = Field(description="SHA-256 of the ensemble's artifact, as in its card")
    combiner: str = Field(description="combiner of `accuracy`, `interval` and `percentile`")
    combiners: dict[str, Estimate | None] = Field(description="estimate of every combiner; null if it has none")
    ranking_score: float | None = Field(
        None,
        description="sort key, larger is better: `accuracy`, or a score without unit from an ensemble that only ranks "
        "and from a combiner that compares the architectures of a request; null in results of earlier versions",
    )
    interval_scale: float = Field(
        description="minimum factor of the interval's width: 1 for architectures and scores like those of the "
        "reference set, larger for others"
    )
    explanation: Explanation | None = Field(description="null without `explain`")
    suggested_mutations: list[SuggestedMutation] | None = Field(
        description="single mutations that raise the prediction, best first; null without `explain` and for a space "
        "without neighbors"
    )


class PredictedItem(EstimatedItem):
    """An architecture and its prediction, ranked among the architectures of the request."""

    rank: int = Field(description="1 is the best of the request; equal `ranking_score`s share a rank")


class BriefEstimate(Document):
    """Prediction of `detail: brief`: the fields of the same names of a full one."""

    accuracy: float | None = Field(examples=[0.9312], description="a fraction; null from an ensemble that only ranks")
    interval: Interval | None = Field(description="null where `accuracy` is")
    ranking_score: float | None = Field(description="sort key, larger is better; null in results of earlier versions")


class BriefPrediction(BriefEstimate):
    """Prediction of `detail: brief`, ranked among the architectures of the request."""

    rank: int = Field(description="1 is the best of the request; equal `ranking_score`s share a rank")


class ProbeBatchInfo(Document):
    """The probe batch, the input of every proxy."""

    fingerprint: str
    source: str = Field(examples=["synthetic motion, seed 0"])
    shapes: list[list[int]] = Field(examples=[[[4, 3, 8, 25, 2]]], description="shapes of the networks' arguments")


Seconds = Annotated[float, Field(description="time from the request to the response, including queueing")]


class ScoreResponse(Document):
    """Scores, in the order of the request."""

    scores: list[ScoredItem | FailedItem]
    space: str
    settings: dict[str, Any] = Field(description="settings of the search space")
    device: str = Field(examples=["cpu"])
    probe_batch: ProbeBatchInfo | None = Field(description="null for a space whose networks cannot be built")
    seconds: Seconds


class PredictionResponse(Document):
    """Predictions, in the order of the request."""

    predictions: list[PredictedItem | FailedItem]
    win_probability: list[list[float | None]] | None = Field(
        description="probability that the architecture of the row has a higher accuracy than that of the column, in "
        "the order of the request; null for architectures without a prediction; null as a whole without `compare` and "
        "from an ensemble that only ranks"
    )
    ensemble: str
    ensemble_hash: str = Field(description="SHA-256 of the ensemble's artifact, as in its card")
    space: str
    settings: dict[str, Any] = Field(description="settings of the search space")
    stratum_label: str | None = Field(examples=["number of layers"], description="name of `stratum`; null without one")
    device: str = Field(examples=["cpu"])
    probe_batch: ProbeBatchInfo | None = Field(description="null for a space whose networks cannot be built")
    seconds: Seconds


class BriefPredictionResponse(PredictionResponse):
    """Predictions of `detail: brief`, in the order of the request."""

    predictions: list[BriefPrediction | FailedItem]  # type: ignore[assignment]  # in the place of the full ones


class ValidationRequest(_ArchitecturesRequest):
    """Architectures to validate. No network is built."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [EXAMPLE]}]})

    def to_query(self) -> ScoreQuery:
        """Return the parameters of a scoring request with the same space."""
        return ScoreQuery(proxies=[], space=self.space, settings=self.settings)


class ValidItem(Document):
    """A valid architecture and its cost."""

    architecture: dict[str, Any] = Field(examples=[EXAMPLE])
    fingerprint: str = Field(description="hash of the network, independent of the notation")
    stratum: int | None = Field(examples=[10], description="null for a space without features")
    stratum_label: str | None = Field(examples=["number of layers"], description="name of `stratum`")
    parameters: int | None = Field(description="null for a space without costs")
    flops: int | None = Field(
        description="FLOPs of a forward pass of the probe batch of `POST /v1/scores`, as proxy `flops`; null as above"
    )
    warnings: list[str] = Field(description="differences from the architectures of the space's benchmark")


class ValidationResponse(Document):
    """Validated architectures, in the order of the request."""

    validations: list[ValidItem | FailedItem]


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
