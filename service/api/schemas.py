"""What goes in and out, over HTTP and on the command line alike."""

import math
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

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
from models.gcn_nas import PENG
from proxies import Score
from service.api.problems import Problem
from service.storage import Job

FOUR_LAYERS: dict[str, Any] = {
    "space": "gcn-nas",
    "mask": [
        [1, 0, 0, 0, 1, 1, 0, 0],
        [0, 1, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 0, 1, 1],
        [0, 1, 0, 0, 1, 1, 0, 0],
    ],
}


def _rows(cell: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": {"type": "array", "items": cell}}


ArchitectureText = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "title": "Architecture",
            "description": "One of `layers` (module names), `mask` (0 or 1) and `weights`, one row a layer; "
            "`GET /v1/spaces` says what rows look like.",
            "properties": {
                "space": {"type": "string"},
                "layers": _rows({"type": "string"}),
                "mask": _rows({"enum": [0, 1, False, True]}),
                "weights": _rows({"type": "number"}),
            },
            "oneOf": [{"required": [form]} for form in ("layers", "mask", "weights")],
            "additionalProperties": False,
        }
    ),
]


def _whole(number: Any) -> Any:
    """JSON knows one kind of number: 3.0 is an integer."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


Seed = Annotated[StrictInt, Field(ge=0, lt=2**32), BeforeValidator(_whole)]


class _Architectures(BaseModel):
    model_config = ConfigDict(extra="forbid")

    architectures: list[ArchitectureText] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, data: Any) -> Any:
        for name in data if isinstance(data, dict) else ():
            if name not in cls.model_fields:
                raise UnknownNameError("field", name, list(cls.model_fields))
        return data


class _Request(_Architectures):
    proxies: list[StrictStr] | None = Field(None, description="names; all that are of use where left out")
    seed: Seed | None = Field(None, description="of weights and draws; the ensemble's if left out")


class ScoreRequest(_Request):
    """Architectures to score by zero-cost proxies."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [FOUR_LAYERS], "proxies": ["nwot"]}]})


class PredictionRequest(_Request):
    """Architectures to predict. With `proxies: []` from their structure alone, so that no network is built."""

    explain: StrictBool = Field(False, description="say for each what moved its prediction and which edits raise it")
    compare: StrictBool = Field(False, description="say for each pair how probably the one is better than the other")
    ensemble: StrictStr | None = Field(None, description="name; the default ensemble if left out")
    combiner: StrictStr | None = Field(None, description="name; the ensemble's own choice if left out")

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [PENG, FOUR_LAYERS]}]})


class Answer(BaseModel):
    """What goes out. A number that is not finite is an error: JSON has none, and null would say something else."""

    model_config = ConfigDict(allow_inf_nan=False)


class ProxyScore(Answer):
    """One proxy on one network."""

    value: float | None = Field(examples=[391.2])
    log: float | None = Field(description="natural logarithm, for proxies whose values explode with depth")
    status: str = Field(examples=["ok"], description="`ok` or `failed`")
    seconds: float = Field(description="what it cost to compute, then if it is cached")
    error: str | None
    note: str | None
    per_layer: float | None = Field(description="value, or its logarithm, by layer, for proxies that sum over layers")

    @classmethod
    def of(cls, score: Score) -> "ProxyScore":
        """JSON has no NaN and no infinity: such a value is null, and failed if nothing is left."""
        value, logarithm = _finite(score.value), _finite(score.log)
        failed = value is None and logarithm is None
        return cls(
            value=value,
            log=logarithm,
            status="failed" if failed else score.status,
            seconds=score.seconds,
            error=score.error or ("the score is not finite" if failed else None),
            note=score.note,
            per_layer=_finite(score.per_layer),
        )


class FailedItem(Answer):
    """An architecture that could not be read or scored; the others of the request are not concerned."""

    error: Problem


class ScoredItem(Answer):
    """An architecture and its scores."""

    architecture: dict[str, Any] = Field(examples=[FOUR_LAYERS])
    fingerprint: str = Field(description="the same for the same network, however it was written")
    scores: dict[str, ProxyScore]
    cached: bool = Field(
        description="whether scores and prediction are of earlier requests, nothing of them computed anew"
    )
    warnings: list[str]


class Interval(Answer):
    """Where the accuracy lies with a probability of 90 %."""

    low: float = Field(examples=[0.9268])
    high: float = Field(examples=[0.9345])


class Estimate(Answer):
    """What one combiner says."""

    accuracy: float = Field(examples=[0.9312], description="a fraction")
    interval: Interval
    percentile: float = Field(description="percent of the reference population that is predicted worse")


class Reason(Answer):
    """What one part of the architecture, or one proxy, adds to the prediction."""

    part: str = Field(examples=["layers[3] (L2, T)"])
    points: float = Field(
        description="percentage points of accuracy: for the depth against the whole population, for everything else "
        "against what it adds on average at that depth"
    )


class Explanation(Answer):
    """Shapley values: the base and all points together are the prediction of `combiner`."""

    combiner: str = Field(description="whose prediction is explained; `structure` where the asked one cannot be")
    base: float = Field(description="mean prediction over the reference population, a fraction")
    reasons: list[Reason] = Field(description="largest first, whichever way they go")


class Edit(Answer):
    """One module added or taken away."""

    edit: dict[str, Any] = Field(examples=[{"layer": 3, "module": "S", "action": "add"}], description="layers from 0")
    accuracy: float = Field(description="of the edited architecture, predicted from structure")
    points: float = Field(description="percentage points more than the architecture itself, predicted from structure")


class EstimatedItem(ScoredItem, Estimate):
    """An architecture, its prediction and what it rests on."""

    ensemble: str = Field(examples=["gcn-nas-ntu"], description="name of the ensemble that predicted")
    ensemble_hash: str = Field(description="SHA-256 of its artifact, as in its card")
    combiner: str = Field(description="whose estimate `accuracy` and `percentile` are")
    combiners: dict[str, Estimate | None] = Field(description="every combiner's estimate; null if it has none")
    stretch: float = Field(
        description="1 if the reference population has the like; else how many times as wide the interval is at least"
    )
    explanation: Explanation | None = Field(description="null unless asked for by `explain`")
    edits: list[Edit] | None = Field(description="single edits that raise the prediction, best first; null as above")


class PredictedItem(EstimatedItem):
    """An architecture among others of a request."""

    rank: int = Field(description="1 is the best of this request; equal accuracies share a rank")


class BatchCard(Answer):
    """The probe batch that every network was shown."""

    fingerprint: str
    source: str = Field(examples=["synthetic motion, seed 0"])
    shape: tuple[int, int, int, int, int] = Field(description="samples, coordinates, frames, joints, persons")


Seconds = Annotated[float, Field(description="from first to last step, turns of other requests included")]


class ScoreResponse(Answer):
    """Scores in the order posted."""

    scores: list[ScoredItem | FailedItem]
    device: str = Field(examples=["cpu"])
    batch: BatchCard
    seconds: Seconds


class PredictionResponse(Answer):
    """Predictions in the order posted."""

    predictions: list[PredictedItem | FailedItem]
    beats: list[list[float | None]] | None = Field(
        description="by row and column in the order posted, the probability that the row's architecture has the higher "
        "accuracy; null where one could not be predicted, and altogether unless asked for by `compare`"
    )
    ensemble: str
    ensemble_hash: str = Field(description="SHA-256 of its artifact, as in its card")
    device: str = Field(examples=["cpu"])
    batch: BatchCard
    seconds: Seconds


class ValidationRequest(_Architectures):
    """Architectures to look at, with nothing built of them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [PENG, FOUR_LAYERS]}]})


class ValidItem(Answer):
    """An architecture that can be predicted, and what it costs."""

    architecture: dict[str, Any] = Field(examples=[FOUR_LAYERS])
    fingerprint: str = Field(description="the same for the same network, however it was written")
    layers: int
    parameters: int
    flops: int = Field(description="of one forward pass of the default ensemble's probe batch, as proxy `flops` counts")
    warnings: list[str] = Field(description="in which ways it lies outside the population of the space's benchmark")


class ValidationResponse(Answer):
    """What architectures are, in the order posted."""

    validations: list[ValidItem | FailedItem]


class JobRequest(PredictionRequest):
    """Architectures to be worked on while nobody waits: a request that outlives its connection."""

    kind: Literal["predictions", "scores"] = Field("predictions", description="what is asked of each architecture")
    compare: StrictBool = Field(
        False, description="false: a job answers each architecture by itself", json_schema_extra={"const": False}
    )

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [PENG, FOUR_LAYERS]}]})

    def asked(self) -> PredictionRequest | ScoreRequest:
        """The request that each architecture is answered by. Raises `InputError` for what no such request has."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"kind"}}
        if self.compare:
            raise InputError("compare", True, "false: a job answers each architecture by itself")
        return (PredictionRequest if self.kind == "predictions" else ScoreRequest).model_validate(given)


class JobCounts(Answer):
    """Numbers of a job's architectures."""

    total: int
    waiting: int
    running: int
    done: int
    failed: int
    cached: int = Field(description="of those done, how many were known from earlier work")


class JobCard(Answer):
    """How a job is doing."""

    id: str
    owner: str = Field(description="id of the API key that asked for it, or `anonymous`")
    kind: Literal["predictions", "scores"]
    ensemble: str | None = Field(
        description="to which it is bound, whatever the default becomes: that predicts, or whose batch and weights the "
        "scores are of; null where there was none, and for a job of an earlier archrank that was not worked on since"
    )
    ensemble_hash: str | None = Field(description="SHA-256 of its artifact; null likewise")
    state: Literal["queued", "running", "done", "cancelled", "failed"]
    counts: JobCounts
    progress: float = Field(description="which part of it is done or failed")
    eta_seconds: float | None = Field(description="until it is done, at the present pace; null when it is finished")
    created: datetime
    started: datetime | None
    finished: datetime | None
    expires: datetime | None = Field(description="when its results may be forgotten; null until it is finished")

    @classmethod
    def of(cls, job: Job, eta_seconds: float | None, retention: float) -> "JobCard":
        counts = JobCounts(**{name: getattr(job, name) for name in JobCounts.model_fields})
        return cls(
            id=job.id,
            owner=job.owner,
            kind="predictions" if job.kind == "predict" else "scores",
            ensemble=job.ensemble,
            ensemble_hash=job.ensemble_hash,
            state=job.state,
            counts=counts,
            progress=(job.done + job.failed) / job.total,
            eta_seconds=eta_seconds,
            created=job.created,
            started=job.started,
            finished=job.finished,
            expires=job.finished and job.finished + timedelta(seconds=retention),
        )


class JobList(Answer):
    """Jobs, newest first."""

    jobs: list[JobCard]


class JobResult(Answer):
    """What became of one of a job's architectures."""

    position: int = Field(description="in the list that was posted, from 0")
    result: EstimatedItem | ScoredItem | FailedItem


class JobResults(Answer):
    """A page of results, in the order in which they were finished."""

    results: list[JobResult]
    next: str | None = Field(description="path of what comes next; null where nothing does, now or later")


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
