"""JSON documents of the catalog: ensembles, proxies, limits."""

from typing import Any

from pydantic import ConfigDict, Field

from proxies.base import Proxy
from service.api.page_sizes import MAX_SAMPLE_SIZE
from service.api.schemas import EXAMPLE, ArchitectureJson, Document, Integer, Request, Seed, Settings


class SpaceCard(Document):
    """Description of a search space. Fields beyond these are the space's own."""

    model_config = ConfigDict(extra="allow")

    name: str
    origin: str = Field(examples=["built in"], description="`built in`, or the distribution of the plug-in")
    capabilities: list[str] = Field(
        description="`build`: networks and their scores; `cost`: parameters and FLOPs; `features`: predictions; "
        "`edit`: mutations"
    )
    settings: dict[str, Any] = Field(description="the settings and their defaults")
    presets: dict[str, Any] = Field(description="published architectures by name")
    json_schema: dict[str, Any] = Field(alias="schema", description="JSON Schema of an architecture")
    stratum_label: str | None = Field(
        examples=["number of layers"], description="name of the number that intervals depend on; null without features"
    )
    ensembles: list[str] = Field(description="names of its ensembles; the first predicts if a request names none")


class _DrawRequest(Request):
    number: Integer = Field(1, ge=1, le=MAX_SAMPLE_SIZE, description="number of architectures")
    seed: Seed = Field(0, description="seed of the random generator")
    settings: Settings = None


class SampleRequest(_DrawRequest):
    """Random architectures to draw."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"number": 2, "seed": 1}]})

    fixed: dict[str, Any] = Field({}, description="properties that the space can hold fixed, e.g. `depth`")


class MutationRequest(_DrawRequest):
    """Random mutations to draw."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"architecture": EXAMPLE, "number": 2}]})

    architecture: ArchitectureJson


class Sample(Document):
    """Distinct random architectures, in the form that `POST /v1/predictions` takes."""

    architectures: list[dict[str, Any]] = Field(description="fewer than requested if no more were found")


class Limits(Document):
    """Limits of requests, jobs and studies for the API key of the request."""

    max_architectures: int = Field(examples=[64], description="architectures in one request")
    max_brief_architectures: int = Field(
        examples=[512], description="architectures in one request with `detail: brief` and `proxies: []`"
    )
    max_job_architectures: int = Field(examples=[10000], description="architectures in one job")
    max_body_bytes: int = Field(description="size of a request's body")
    max_job_body_bytes: int = Field(description="size of a job's body")
    sync_timeout: float = Field(description="time in seconds after which a request becomes a job")
    max_page_size: int = Field(description="results of a job on one page")
    max_sample_size: int = Field(description="random architectures in one sample")
    result_retention: float = Field(description="time in seconds for which a finished job's results are kept")
    requests_per_minute: int | None = Field(description="rate limit; null without one")
    max_active_jobs: int = Field(description="unfinished jobs at a time")
    queue_share: float = Field(description="maximum fraction of the queue")
    max_studies: int = Field(description="studies of the API key")
    max_study_observations: int = Field(description="observations in one study")


class HeldOutPredictions(Document):
    """Cross-validated predictions of one combiner for the reference set."""

    accuracy: list[float] = Field(description="fractions, increasing")
    strata: list[int] = Field(description="strata of the same architectures, in the same order")


class ReferenceSet(Document):
    """The architectures that percentiles refer to: the trained ones; random ones for an ensemble that only ranks."""

    size: int = Field(description="number of architectures")
    combiners: dict[str, HeldOutPredictions] = Field(description="by combiner; empty for an ensemble that only ranks")
    proxies: dict[str, list[float]] = Field(
        description="by proxy, the 101 quantiles from 0 to 1 of `log` where the proxy has one, else of `value`"
    )


class Summary(Document):
    """Mean and standard deviation of a metric over the repeats of a cross-validation."""

    mean: float
    std: float


class IntervalMetric(Document):
    """A metric of prediction intervals."""

    overall: Summary | None
    by_stratum: dict[str, Summary | None] = Field(description="by stratum")


class PairMetric(Document):
    """A metric of pairwise win probabilities."""

    overall: Summary | None
    within_stratum: Summary | None = Field(description="over pairs within a stratum")


class CombinerMetrics(Document):
    """Cross-validated metrics of a combiner or a baseline; null where a metric does not apply."""

    spearman: Summary | None
    within_stratum_spearman: Summary | None
    partial_spearman: Summary | None
    kendall: Summary | None
    pairwise_accuracy: Summary | None
    mae: Summary | None
    coverage: IntervalMetric | None
    interval_width: IntervalMetric | None
    brier: PairMetric | None


class SourceCard(Document):
    """Ensemble of another task whose predictions are inputs."""

    name: str = Field(examples=["nas-bench-graph-cora"])
    settings: dict[str, Any] = Field(description="settings of the search space")
    task: dict[str, Any] | None = Field(description="name of the data set, and metric")
    rows: int = Field(description="number of architectures that it was fitted to")
    data_hash: str = Field(description="hash of their accuracies")


class EnsembleCard(Document):
    """Training data, quality and limitations of an ensemble."""

    name: str
    hash: str | None = Field(description="SHA-256 of the artifact; null for an ensemble that is not saved")
    created_by: str
    space: str
    settings: dict[str, Any]
    task: dict[str, Any] | None = Field(description="name of the data set; name, name in words and range of the metric")
    stratum_label: str | None = Field(examples=["number of layers"], description="name of the strata; null without any")
    benchmark: dict[str, Any] = Field(description="name, number of architectures, strata, range of accuracy, hash")
    sources: list[SourceCard] = Field([], description="ensembles whose predictions are inputs of some combiners")
    ranks_only: bool = Field(
        False, description="true if it was fitted to too few architectures to predict accuracies: it ranks"
    )
    proxies: dict[str, str] = Field(description="versions by name")
    batch: dict[str, Any] | None
    batch_fingerprint: str | None
    seed: int
    curve: dict[str, Any] | None = Field(
        None, description="number of first epochs and parts of the training curve that are inputs; null for none"
    )
    features: dict[str, int] = Field(description="numbers of features by kind")
    combiners: list[str]
    left_out: dict[str, dict[str, str]] = Field(
        description="reason, by name, for each combiner and each proxy that is not used"
    )
    interval_level: float
    method: dict[str, Any] | None = Field(description="repeats and folds of the cross-validation")
    baselines: list[str] = Field(description="names of the baselines in `metrics`")
    metrics: dict[str, CombinerMetrics] = Field(description="by combiner or baseline")
    limitations: list[str]


class HealthStatus(Document):
    """Health of the server."""

    status: str = Field(examples=["ok"])


class FormulaCard(Document):
    """Formula of an evolved proxy."""

    model_config = ConfigDict(from_attributes=True)

    expression: Any = Field(examples=[["sub", "zen", "num_layers"]], description="the expression, nested lists")
    latex: str = Field(description="the formula in LaTeX, simplified where that is exact")
    words: str = Field(description="the expression in words")


class ProxyCard(Document):
    """Properties of a proxy."""

    name: str
    version: str = Field(description="changes with the proxy's numbers")
    needs: list[str]
    batch_norm: bool | None
    direction: int = Field(description="+1 if its paper ranks higher as better, -1 if lower")
    cost: float = Field(description="approximate cost in forward passes, if computed alone")
    source: str
    log_feature: bool
    additive: bool = Field(description="true for a sum over layers, which grows with their number")
    default: bool = Field(description="true if it is computed where a request for scores names no proxies")
    formula: FormulaCard | None = Field(None, description="of an evolved proxy")

    @classmethod
    def from_proxy(cls, proxy: Proxy) -> "ProxyCard":
        """Convert the registry's entry."""
        needs = sorted(need.name.lower() for need in proxy.needs)
        names = ("name", "version", "batch_norm", "direction", "cost", "source", "log_feature", "additive", "default")
        formula = None if proxy.formula is None else FormulaCard.model_validate(proxy.formula)
        return cls(needs=needs, formula=formula, **{name: getattr(proxy.info, name) for name in names})
