"""What the server answers. Fields that a newer server adds are kept, and those that an older one lacks are None."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, RootModel

Item = TypeVar("Item")
Element = TypeVar("Element")


class FirstFault(FailFast):
    """Stop at the first fault of a list: errors of millions of elements would fill the memory."""

    __hash__ = object.__hash__  # which unions need


Listed = Annotated[list[Element], FirstFault()]
Number = Annotated[int, Field(ge=0, lt=2**31)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Most = Annotated[int, Field(ge=1, lt=2**63)]
Architecture = dict[str, Any]
"""An architecture as JSON, e.g. `{"space": "gcn-nas", "layers": [["L2", "S"], …]}`."""


class Answer(BaseModel):
    """What comes in. A number that is not finite is no answer."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, defer_build=True)


class FieldProblem(Answer):
    """One value that was refused."""

    field: str
    value: str
    allowed: str


class Problem(Answer):
    """What went wrong, as RFC 9457 writes it down."""

    status: int
    title: str = ""
    detail: str = ""
    type: str = "about:blank"
    instance: str | None = None
    errors: Listed[FieldProblem] = []


class ProxyScore(Answer):
    """One proxy on one network.

    Attributes:
        value: null where it is not finite.
        log: natural logarithm, for proxies whose values explode with depth.
        status: `ok` or `failed`.
        seconds: what it cost to compute, then if it is cached.
    """

    value: float | None
    log: float | None = None
    status: str
    seconds: float
    error: str | None = None
    note: str | None = None


class Scores(Answer):
    """An architecture and its scores.

    Attributes:
        architecture: as the server writes it.
        fingerprint: the same for the same network, however it was written.
        scores: by proxy.
        cached: whether nothing was computed anew.
    """

    ok: ClassVar[Literal[True]] = True
    architecture: Architecture
    fingerprint: str
    scores: dict[str, ProxyScore]
    cached: bool = False
    warnings: Listed[str] = []


class Interval(Answer):
    """Where the accuracy lies with a probability of 90 %."""

    low: Fraction
    high: Fraction


class Estimate(Answer):
    """What one combiner says.

    Attributes:
        accuracy: a fraction.
        percentile: percent of the reference population that is predicted worse.
    """

    accuracy: Fraction
    interval: Interval
    percentile: Percent


class Reason(Answer):
    """What one part of the architecture, or one proxy, adds to the prediction, in percentage points."""

    part: str
    points: float


class Explanation(Answer):
    """The base and all points together are the prediction of `combiner`."""

    combiner: str
    base: float
    reasons: Listed[Reason]


class Edit(Answer):
    """One module added or taken away; accuracy and points as predicted from structure."""

    edit: dict[str, Any]
    accuracy: Fraction
    points: float


class Prediction(Answer):
    """An architecture, its prediction and what it rests on.

    Attributes:
        accuracy: a fraction.
        interval: holds the accuracy with a probability of 90 %.
        percentile: percent of the reference population that is predicted worse.
        ensemble: name of the one that predicted; None from a server that does not say, likewise `ensemble_hash`.
        ensemble_hash: SHA-256 of its artifact.
        combiner: whose estimate these are.
        combiners: every combiner's estimate; None if it has none.
        stretch: 1 if the reference population has the like; else how many times as wide the interval is at least.
        scores: by proxy.
        explanation: None unless asked for by `explain`; likewise `edits`, single ones that raise the prediction.
        architecture: as the server writes it.
        fingerprint: the same for the same network, however it was written.
        cached: whether nothing was computed anew.
        rank: among those asked for, 1 for the best; None where they were not all answered at once: see `rank`.
    """

    ok: ClassVar[Literal[True]] = True
    accuracy: Fraction
    interval: Interval
    percentile: Percent
    ensemble: str | None = None
    ensemble_hash: str | None = None
    combiner: str
    combiners: dict[str, Estimate | None] = {}
    stretch: float | None = None
    scores: dict[str, ProxyScore] = {}
    explanation: Explanation | None = None
    edits: Listed[Edit] | None = None
    architecture: Architecture
    fingerprint: str
    cached: bool = False
    warnings: Listed[str] = []
    rank: int | None = None


class Validation(Answer):
    """What can be said of an architecture without building its network.

    Attributes:
        architecture: as the server writes it.
        fingerprint: the same for the same network, however it was written.
        layers: number of layers.
        parameters: number of weights.
        flops: of one forward pass of the probe batch.
    """

    ok: ClassVar[Literal[True]] = True
    architecture: Architecture
    fingerprint: str
    layers: int
    parameters: int
    flops: int
    warnings: Listed[str] = []


class FailedItem(Answer):
    """What the server says of an architecture that could not be read or scored."""

    error: Problem


class Limits(Answer):
    """How much a server takes at once. The defaults are those of servers that do not say."""

    architectures: Most = 64
    job_architectures: Most = 10_000
    body_bytes: Most = 2**20
    job_body_bytes: Most = 2**23
    page: Most = 1000
    sample: Most = 1000


class JobCounts(Answer):
    """Numbers of a job's architectures; `cached`: those done whose result was known."""

    total: Number
    waiting: Number
    running: Number
    done: Number
    failed: Number
    cached: Number = 0


class JobStatus(Answer):
    """How a job is doing.

    Attributes:
        kind: `predictions` or `scores`.
        ensemble: name of the one that it is bound to; None where there is none, or the server does not say.
        ensemble_hash: SHA-256 of its artifact.
        state: `queued`, `running`, `done`, `cancelled` or `failed`.
        progress: which part of it is done or failed.
        eta_seconds: until it is done, at the present pace; None when it has ended.
        expires: when its results may be forgotten; None until it has ended.
    """

    id: Annotated[str, Field(pattern="^[!-~]{1,200}$")]
    kind: str
    ensemble: str | None = None
    ensemble_hash: str | None = None
    state: str
    counts: JobCounts
    progress: float
    eta_seconds: float | None = None
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    expires: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether it changes no more."""
        return self.state in ("done", "cancelled", "failed")


class Summary(Answer):
    """Mean and standard deviation of a measure over the repeats of a cross-validation."""

    mean: float
    sd: float


class Ensemble(Answer):
    """What an ensemble was fitted on, how good it is, and what it is not good for.

    Attributes:
        hash: SHA-256 of its artifact; None from a server that does not say.
        proxies: their versions by name.
        combiners: names of those that can be asked for.
        measured: by combiner or baseline and measure.
    """

    name: str
    hash: str | None = None
    space: str
    seed: int
    proxies: dict[str, str]
    combiners: Listed[str]
    interval_level: float
    benchmark: dict[str, Any]
    measured: dict[str, dict[str, Summary | None]]
    baselines: Listed[str] = []
    limits: Listed[str] = []


class PredictedPage(Answer):
    """The body of an answer to `POST /v1/predictions`."""

    predictions: Listed[Prediction | FailedItem]


class ScoredPage(Answer):
    """The body of an answer to `POST /v1/scores`."""

    scores: Listed[Scores | FailedItem]


class ValidatedPage(Answer):
    """The body of an answer to `POST /v1/validations`."""

    validations: Listed[Validation | FailedItem]


class JobResult(Answer, Generic[Item]):
    """What became of one of a job's architectures, by its position among those that were posted."""

    position: Number
    result: Item | FailedItem


class JobResults(Answer, Generic[Item]):
    """A page of results, in the order in which they were finished; `next` is None where nothing comes after it."""

    results: Listed[JobResult[Item]]
    next: str | None


class Sample(Answer):
    """Random architectures."""

    architectures: Listed[Architecture]


class JobList(Answer):
    """Jobs, newest first."""

    jobs: Listed[JobStatus]


class Spaces(RootModel[dict[str, dict[str, Any]]]):
    """Search spaces by name."""


class Ensembles(RootModel[dict[str, Ensemble]]):
    """Ensembles by name."""
