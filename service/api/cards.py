"""What there is, as it goes out: ensembles, proxies, what may be asked for."""

from typing import Any

from pydantic import Field

from proxies import ProxyInfo
from service.api.schemas import Answer


class Sample(Answer):
    """Random architectures, ready to be posted to `/v1/predictions`."""

    architectures: list[dict[str, Any]]


class Allowed(Answer):
    """How much may be asked for, by whoever asks this."""

    architectures: int = Field(examples=[64], description="in one request")
    job_architectures: int = Field(examples=[10000], description="in one job")
    body_bytes: int = Field(description="size of a request's body")
    job_body_bytes: int = Field(description="size of a job's body")
    wait_seconds: float = Field(description="how long a request is waited for, at most, before it becomes a job")
    page: int = Field(description="results of a job in one page")
    sample: int = Field(description="random architectures at once")
    keep_hours: float = Field(description="how long a finished job's results are kept")
    rate: int | None = Field(description="requests a minute; null: any number")
    jobs: int = Field(description="unfinished jobs at a time")
    share: float = Field(description="part of the queue that one's architectures may fill")


class HeldOut(Answer):
    """What one combiner predicts for the reference population, each architecture unseen when it was fitted."""

    accuracy: list[float] = Field(description="fractions, increasing")
    layers: list[int] = Field(description="of the same architectures, in the same order")


class PopulationCard(Answer):
    """The reference population that percentiles are taken in."""

    number: int
    combiners: dict[str, HeldOut] = Field(description="by name")
    proxies: dict[str, list[float]] = Field(
        description="by proxy, the 101 quantiles from 0 to 100 % of `log`, for those that have one, else of `value`"
    )


class Summary(Answer):
    """Mean and standard deviation of a measure over the repeats of a cross-validation."""

    mean: float
    sd: float


class EnsembleCard(Answer):
    """What an ensemble was fitted on, how good it is, and what it is not good for."""

    name: str
    hash: str | None = Field(description="SHA-256 of the artifact; null for one that is not saved yet")
    created_by: str
    space: str
    settings: dict[str, Any]
    benchmark: dict[str, Any] = Field(description="name, number of architectures, by depth, range of accuracy, hash")
    proxies: dict[str, str] = Field(description="their versions by name")
    batch: dict[str, Any] | None
    batch_fingerprint: str | None
    seed: int
    features: dict[str, int] = Field(description="their numbers by kind")
    combiners: list[str]
    interval_level: float
    method: dict[str, Any] | None = Field(description="repeats and folds of the cross-validation")
    baselines: list[str] = Field(description="which rows of `measured` are baselines")
    measured: dict[str, dict[str, Summary | None]] = Field(description="by combiner or baseline and measure")
    limits: list[str]


class Health(Answer):
    """Whether the service is well."""

    status: str = Field(examples=["ok"])


class ProxyCard(Answer):
    """Facts about a proxy."""

    name: str
    version: str = Field(description="raised whenever the proxy's numbers change")
    needs: list[str]
    batch_norm: bool | None
    direction: int = Field(description="+1 if its paper ranks higher as better, -1 if lower")
    cost: float = Field(description="forward passes it costs on its own, about")
    source: str
    log_feature: bool
    additive: bool = Field(description="whether it sums over the layers, so that it grows with depth")

    @classmethod
    def of(cls, info: ProxyInfo) -> "ProxyCard":
        needs = sorted(need.name.lower() for need in info.needs)
        facts = ("name", "version", "batch_norm", "direction", "cost", "source", "log_feature", "additive")
        return cls(needs=needs, **{fact: getattr(info, fact) for fact in facts})
