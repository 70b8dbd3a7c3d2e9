"""What goes in and out, over HTTP and on the command line alike."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, WithJsonSchema, model_validator

from models.errors import UnknownNameError
from proxies import ProxyInfo, Score
from service.errors import Problem

PENG: dict[str, Any] = {
    "space": "gcn-nas",
    "layers": [
        ["L2", "S", "T", "ST"],
        ["S", "T", "ST"],
        ["S", "T", "ST"],
        ["S", "T", "ST"],
        ["L2", "S", "T"],
        ["L2", "T"],
        ["L4n", "L2", "S", "T", "ST"],
        ["L2", "T"],
        ["L2", "T"],
        ["T"],
    ],
}
"""The architecture that Peng et al. (2020) found."""
FOUR_LAYERS: dict[str, Any] = {
    "space": "gcn-nas",
    "mask": [
        [1, 0, 0, 0, 1, 1, 0, 0],
        [0, 1, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 0, 1, 1],
        [0, 1, 0, 0, 1, 1, 0, 0],
    ],
}

_ROWS = {"type": "array", "items": {"type": "array"}}
ArchitectureText = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "title": "Architecture",
            "description": "One of `layers` (module names), `mask` (0 or 1) and `weights`, one row a layer; "
            "`GET /v1/spaces` says what rows look like.",
            "properties": {"space": {"type": "string"}, "layers": _ROWS, "mask": _ROWS, "weights": _ROWS},
            "additionalProperties": False,
        }
    ),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    architectures: list[ArchitectureText] = Field(min_length=1)
    proxies: list[StrictStr] | None = Field(None, description="names; all that are of use where left out")
    seed: StrictInt | None = Field(None, ge=0, lt=2**32, description="of weights and draws; the ensemble's if left out")

    @model_validator(mode="before")
    @classmethod
    def _known_fields(cls, data: Any) -> Any:
        for name in data if isinstance(data, dict) else ():
            if name not in cls.model_fields:
                raise UnknownNameError("field", name, list(cls.model_fields))
        return data


class ScoreRequest(_Request):
    """Architectures to score by zero-cost proxies."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [FOUR_LAYERS], "proxies": ["nwot"]}]})


class PredictionRequest(_Request):
    """Architectures to predict. With `proxies: []` from their structure alone, so that no network is built."""

    ensemble: StrictStr | None = Field(None, description="name; the default ensemble if left out")
    combiner: StrictStr | None = Field(None, description="name; the ensemble's own choice if left out")

    model_config = ConfigDict(json_schema_extra={"examples": [{"architectures": [PENG, FOUR_LAYERS]}]})


class ProxyScore(BaseModel):
    """One proxy on one network."""

    value: float | None = Field(examples=[391.2])
    log: float | None = Field(description="natural logarithm, for proxies whose values explode with depth")
    status: str = Field(examples=["ok"], description="`ok` or `failed`")
    seconds: float
    error: str | None
    note: str | None

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
        )


class FailedItem(BaseModel):
    """An architecture that could not be read or scored; the others of the request are not concerned."""

    error: Problem


class ScoredItem(BaseModel):
    """An architecture and its scores."""

    architecture: dict[str, Any] = Field(examples=[FOUR_LAYERS])
    fingerprint: str = Field(description="the same for the same network, however it was written")
    scores: dict[str, ProxyScore]
    warnings: list[str]


class Estimate(BaseModel):
    """What one combiner says."""

    accuracy: float = Field(examples=[0.9312], description="a fraction")
    percentile: float = Field(description="percent of the reference population that is predicted worse")


class PredictedItem(ScoredItem, Estimate):
    """An architecture, its prediction and what it rests on."""

    rank: int = Field(description="1 is the best of this request; equal accuracies share a rank")
    combiner: str = Field(description="whose estimate `accuracy` and `percentile` are")
    combiners: dict[str, Estimate | None] = Field(description="every combiner's estimate; null if it has none")


class BatchCard(BaseModel):
    """The probe batch that every network was shown."""

    fingerprint: str
    source: str = Field(examples=["synthetic motion, seed 0"])
    shape: tuple[int, int, int, int, int] = Field(description="samples, coordinates, frames, joints, persons")


Seconds = Annotated[float, Field(description="from first to last step, turns of other requests included")]


class ScoreResponse(BaseModel):
    """Scores in the order posted."""

    scores: list[ScoredItem | FailedItem]
    device: str = Field(examples=["cpu"])
    batch: BatchCard
    seconds: Seconds


class PredictionResponse(BaseModel):
    """Predictions in the order posted."""

    predictions: list[PredictedItem | FailedItem]
    ensemble: str
    device: str = Field(examples=["cpu"])
    batch: BatchCard
    seconds: Seconds


class Health(BaseModel):
    """Whether the service is well."""

    status: str = Field(examples=["ok"])


class ProxyCard(BaseModel):
    """Facts about a proxy."""

    name: str
    version: str = Field(description="raised whenever the proxy's numbers change")
    needs: list[str]
    batch_norm: bool | None
    direction: int = Field(description="+1 if its paper ranks higher as better, -1 if lower")
    cost: float = Field(description="forward passes it costs on its own, about")
    source: str
    log_feature: bool

    @classmethod
    def of(cls, info: ProxyInfo) -> "ProxyCard":
        needs = sorted(need.name.lower() for need in info.needs)
        facts = ("name", "version", "batch_norm", "direction", "cost", "source", "log_feature")
        return cls(needs=needs, **{fact: getattr(info, fact) for fact in facts})


def _finite(number: float | None) -> float | None:
    return number if number is not None and math.isfinite(number) else None
