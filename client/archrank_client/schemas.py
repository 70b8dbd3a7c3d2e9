"""Documents of the server's API.

Fields that a newer server adds are kept; fields that an older server lacks have defaults. A number that is not finite
is refused, as is a fraction outside [0, 1]. `docs/openapi.json` of archrank describes the same documents.
"""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, RootModel, model_validator

Item = TypeVar("Item")
Element = TypeVar("Element")


class HashableFailFast(FailFast):
    """Stop validating a list at its first invalid element: errors of millions of elements would fill the memory."""

    __hash__ = object.__hash__  # unions need it


FailFastList = Annotated[list[Element], HashableFailFast()]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[int, Field(ge=1, lt=2**63)]
Architecture = dict[str, Any]
"""An architecture as JSON, with its `space`; `Client.spaces` returns the JSON Schema of its other fields."""


class Document(BaseModel):
    """Base of all documents."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, defer_build=True)


class FieldProblem(Document):
    """One refused value.

    Attributes:
        field: path of the value in the request, e.g. `architectures[0].space`.
        value: the refused value, as text.
        allowed: description of the allowed values.
    """

    field: str
    value: str
    allowed: str


class Problem(Document):
    """Problem details of a failure (RFC 9457).

    Attributes:
        status: HTTP status.
        title: short summary of the kind of failure.
        detail: explanation of this failure.
        type: URI of the kind of failure.
        instance: pointer to the part of the request that failed, e.g. `#/architectures/0`.
        errors: the refused values.
    """

    status: int
    title: str = ""
    detail: str = ""
    type: str = "about:blank"
    instance: str | None = None
    errors: FailFastList[FieldProblem] = []


class ProxyScore(Document):
    """Score of one proxy on one network.

    Attributes:
        value: the score; None where it is not finite.
        log: natural logarithm of the score, for proxies whose values explode with the number of layers.
        status: `ok`, `failed`, or `not_applicable` if the space's networks or task lack what the proxy needs.
        seconds: computing time, also of a cached score.
        error: reason of a failure.
        note: remark of the proxy; the reason where it is not applicable.
    """

    value: float | None
    log: float | None = None
    status: str
    seconds: float
    error: str | None = None
    note: str | None = None


class Scores(Document):
    """Proxy scores of one architecture.

    Attributes:
        architecture: the architecture in the server's notation.
        fingerprint: hash of the network, independent of the architecture's notation.
        scores: scores by proxy.
        cached: True if nothing was computed for this request.
        warnings: ways in which the architecture differs from the reference set.
    """

    ok: ClassVar[Literal[True]] = True
    architecture: Architecture
    fingerprint: str
    scores: dict[str, ProxyScore]
    cached: bool = False
    warnings: FailFastList[str] = []


class Interval(Document):
    """Prediction interval of the accuracy.

    Attributes:
        low: lower bound, a fraction.
        high: upper bound, a fraction.
        level: probability that the interval contains the accuracy.
    """

    low: Fraction
    high: Fraction
    level: Fraction


class Estimate(Document):
    """Estimate of one combiner.

    Attributes:
        accuracy: predicted accuracy, a fraction; None from an ensemble that only ranks.
        interval: prediction interval of the accuracy; None where there is no accuracy.
        percentile: fraction of the reference set that is predicted worse.
    """

    accuracy: Fraction | None
    interval: Interval | None
    percentile: Fraction


class Attribution(Document):
    """Shapley value of one feature group.

    Attributes:
        feature_group: a part of the architecture, the stratum, a proxy or a source.
        contribution: change of the predicted accuracy, a fraction.
    """

    feature_group: str
    contribution: float


class Explanation(Document):
    """Additive explanation: the base value plus all contributions is the prediction of `combiner`.

    Attributes:
        combiner: name of the explained combiner.
        base_value: mean prediction over the reference set, a fraction.
        attributions: contributions of the feature groups, largest magnitude first.
    """

    combiner: str
    base_value: float
    attributions: FailFastList[Attribution]


class SuggestedMutation(Document):
    """Mutation that raises the prediction from structure.

    Attributes:
        mutation: the mutation in the words of the search space.
        architecture: the mutated architecture; None in results that earlier versions stored.
        accuracy: its predicted accuracy, a fraction.
        accuracy_gain: increase of the predicted accuracy, a fraction.
    """

    mutation: dict[str, Any]
    architecture: Architecture | None = None
    accuracy: Fraction
    accuracy_gain: float


class Prediction(Document):
    """Prediction of one architecture.

    Attributes:
        accuracy: predicted accuracy, a fraction; None from an ensemble that only ranks.
        interval: prediction interval of the accuracy; None where there is no accuracy.
        percentile: fraction of the reference set that is predicted worse.
        ranking_score: sort key, larger is better: the accuracy, or a score without unit from an ensemble that only
            ranks and from a combiner that compares the architectures of a request; None from a server that does not
            state it.
        stratum: stratum of the architecture, e.g. its number of layers; None in a space without features, and
            in results that earlier versions stored.
        ensemble: name of the ensemble; None from a server that does not name it.
        ensemble_hash: SHA-256 of the ensemble's artifact; None from a server that does not name it.
        combiner: name of the combiner that made this estimate.
        combiners: estimates by combiner; None for a combiner without an estimate.
        interval_scale: 1 inside the reference set's range; else the least factor by which the interval was widened.
        scores: scores by proxy.
        explanation: explanation of the prediction; None unless requested by `explain`.
        suggested_mutations: mutations that raise the prediction, best first; None unless requested by `explain`,
            and in a space without neighbors.
        architecture: the architecture in the server's notation.
        fingerprint: hash of the network, independent of the architecture's notation.
        cached: True if nothing was computed for this request.
        warnings: ways in which the architecture differs from the reference set.
        rank: 1 for the best of the request; None where the call took several requests: see `Client.rank`.
    """

    ok: ClassVar[Literal[True]] = True
    accuracy: Fraction | None
    interval: Interval | None
    percentile: Fraction
    ranking_score: float | None = None
    stratum: int | None = None
    ensemble: str | None = None
    ensemble_hash: str | None = None
    combiner: str
    combiners: dict[str, Estimate | None] = {}
    interval_scale: float | None = None
    scores: dict[str, ProxyScore] = {}
    explanation: Explanation | None = None
    suggested_mutations: FailFastList[SuggestedMutation] | None = None
    architecture: Architecture
    fingerprint: str
    cached: bool = False
    warnings: FailFastList[str] = []
    rank: int | None = None

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if self.accuracy is None and self.ranking_score is None:
            raise ValueError("a prediction has neither accuracy nor ranking_score")
        return self


class Validation(Document):
    """Size and cost of one architecture, known without building its network.

    Attributes:
        architecture: the architecture in the server's notation.
        fingerprint: hash of the network, independent of the architecture's notation.
        stratum: stratum of the architecture, e.g. its number of layers; None in a space without features.
        stratum_label: name of the stratum, e.g. `number of layers`.
        parameters: number of weights; None in a space without costs.
        flops: FLOPs of one forward pass of the probe batch; None in a space without costs.
        warnings: ways in which the architecture differs from the reference set.
    """

    ok: ClassVar[Literal[True]] = True
    architecture: Architecture
    fingerprint: str
    stratum: int | None = None
    stratum_label: str | None = None
    parameters: int | None
    flops: int | None
    warnings: FailFastList[str] = []


class FailedItem(Document):
    """Problem of an architecture that could not be read or scored."""

    error: Problem


class Limits(Document):
    """Limits of a server for this API key. The defaults are those of servers that do not state them.

    Attributes:
        max_architectures: architectures of a request.
        max_job_architectures: architectures of a job.
        max_body_bytes: size of a request's body.
        max_job_body_bytes: size of a job's body.
        sync_timeout: seconds after which a request becomes a job.
        max_page_size: results of a job in one page.
        max_sample_size: random architectures of a request.
        result_retention: seconds for which a finished job's results are kept.
        requests_per_minute: rate limit; None where there is none.
        max_active_jobs: unfinished jobs at a time.
        queue_share: part of the queue that one requester's architectures may fill, a fraction.
        max_studies: studies of the API key.
        max_study_observations: observations of a study.
    """

    max_architectures: Limit = 64
    max_job_architectures: Limit = 10_000
    max_body_bytes: Limit = 2**20
    max_job_body_bytes: Limit = 2**23
    sync_timeout: float | None = None
    max_page_size: Limit = 1000
    max_sample_size: Limit = 1000
    result_retention: float | None = None
    requests_per_minute: int | None = None
    max_active_jobs: int | None = None
    queue_share: float | None = None
    max_studies: Limit | None = None
    max_study_observations: Limit | None = None


class JobCounts(Document):
    """Numbers of a job's architectures by state; `cached` counts those done without computing anything."""

    total: Count
    queued: Count
    running: Count
    done: Count
    failed: Count
    cached: Count = 0


class JobStatus(Document):
    """Status of a job.

    Attributes:
        id: identifier of the job.
        owner: id of the API key that submitted the job, or `anonymous`; None from a server that does not name it.
        kind: `predictions` or `scores`.
        ensemble: name of the ensemble that the job is bound to; None where there is none.
        ensemble_hash: SHA-256 of the ensemble's artifact; None where there is none.
        state: `queued`, `running`, `done`, `cancelled` or `failed`.
        counts: numbers of architectures by state.
        progress: fraction of the architectures that are done or failed.
        eta_seconds: estimated seconds until the job is done; None after its end.
        created_at: time of submission.
        started_at: time when the first architecture was begun.
        finished_at: time of the job's end.
        expires_at: time when the results may be deleted; None until the job has ended.
    """

    id: Annotated[str, Field(pattern="^[!-~]{1,200}$")]
    owner: str | None = None
    kind: str
    ensemble: str | None = None
    ensemble_hash: str | None = None
    state: str
    counts: JobCounts
    progress: float
    eta_seconds: float | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """True once the state is final."""
        return self.state in ("done", "cancelled", "failed")


class Summary(Document):
    """Mean and standard deviation of a metric over the repeats of a cross-validation."""

    mean: float
    std: float


class IntervalMetric(Document):
    """Metric of prediction intervals, over all architectures and by stratum; None where it cannot be computed."""

    overall: Summary | None = None
    by_stratum: dict[str, Summary | None] = {}


class PairMetric(Document):
    """Metric of win probabilities, over all pairs and over pairs within a stratum; None where it cannot be computed."""

    overall: Summary | None = None
    within_stratum: Summary | None = None


class CombinerMetrics(Document):
    """Cross-validated metrics of a combiner or baseline; None where a metric cannot be computed."""

    spearman: Summary | None = None
    within_stratum_spearman: Summary | None = None
    partial_spearman: Summary | None = None
    kendall: Summary | None = None
    pairwise_accuracy: Summary | None = None
    mae: Summary | None = None
    coverage: IntervalMetric | None = None
    interval_width: IntervalMetric | None = None
    brier: PairMetric | None = None


class SourceCard(Document):
    """Ensemble of another task whose predictions are inputs.

    Attributes:
        name: name of the ensemble.
        settings: settings of the search space.
        task: name of the data set, and metric.
        rows: number of architectures that it was fitted to.
        data_hash: hash of their accuracies.
    """

    name: str
    settings: dict[str, Any]
    task: dict[str, Any] | None
    rows: int
    data_hash: str


class Ensemble(Document):
    """Card of an ensemble: the data that it was fitted on, its metrics and its limitations.

    Attributes:
        name: name of the ensemble.
        hash: SHA-256 of the artifact; None from a server that does not name it.
        created_by: version of archrank that fitted the ensemble.
        space: name of the search space.
        settings: settings of the search space.
        task: name of the data set; name, name in words and range of the metric.
        stratum_label: name of the strata, e.g. `number of layers`.
        benchmark: name, size and range of the benchmark.
        sources: ensembles whose predictions are inputs of some combiners.
        ranks_only: True if it was fitted to too few architectures to predict accuracies: it ranks.
        proxies: versions by proxy.
        batch: specification of the probe batch; None for an ensemble without proxies.
        batch_fingerprint: hash of the probe batch.
        seed: seed of weights and random draws.
        curve: number of first epochs and parts of the training curve that are inputs; None for none.
        features: numbers of features by kind.
        combiners: names of the combiners.
        left_out: reasons, by name, for the `combiners` and the `proxies` that are not used.
        interval_level: nominal coverage of the prediction intervals.
        method: repeats and folds of the cross-validation.
        baselines: rows of `metrics` that are baselines.
        metrics: metrics by combiner or baseline.
        limitations: uses that the ensemble is not suited for.
    """

    name: str
    hash: str | None = None
    created_by: str | None = None
    space: str
    settings: dict[str, Any] = {}
    task: dict[str, Any] | None = None
    stratum_label: str | None = None
    benchmark: dict[str, Any]
    sources: FailFastList[SourceCard] = []
    ranks_only: bool = False
    proxies: dict[str, str]
    batch: dict[str, Any] | None = None
    batch_fingerprint: str | None = None
    seed: int
    curve: dict[str, Any] | None = None
    features: dict[str, int] = {}
    combiners: FailFastList[str]
    left_out: dict[str, dict[str, str]] = {}
    interval_level: float
    method: dict[str, Any] | None = None
    baselines: FailFastList[str] = []
    metrics: dict[str, CombinerMetrics]
    limitations: FailFastList[str] = []


class PredictionResponse(Document):
    """Body of a response to `POST /v1/predictions`."""

    predictions: FailFastList[Prediction | FailedItem]


class ScoreResponse(Document):
    """Body of a response to `POST /v1/scores`."""

    scores: FailFastList[Scores | FailedItem]


class ValidationResponse(Document):
    """Body of a response to `POST /v1/architectures/validate`."""

    validations: FailFastList[Validation | FailedItem]


class JobResult(Document, Generic[Item]):
    """Result of one architecture of a job; `position` is its index in the submitted list."""

    position: Count
    result: Item | FailedItem


class JobResults(Document, Generic[Item]):
    """Page of results in order of completion; `next` is the path of the next page, None after the last."""

    results: FailFastList[JobResult[Item]]
    next: str | None


class Sample(Document):
    """Random architectures."""

    architectures: FailFastList[Architecture]


class JobList(Document):
    """Jobs, newest first."""

    jobs: FailFastList[JobStatus]


class Spaces(RootModel[dict[str, dict[str, Any]]]):
    """Search spaces by name."""


class Ensembles(RootModel[dict[str, Ensemble]]):
    """Ensembles by name."""
