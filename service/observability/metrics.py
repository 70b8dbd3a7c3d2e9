"""Prometheus metrics of the service; docs/service.md explains each of them."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from common.version import archrank_version
from service.failures import FailureKind

RequestKind = Literal["predictions", "scores"]
Origin = Literal["request", "job"]
Outcome = Literal["succeeded", "invalid", "failed"]
FitKind = Literal["predictor", "quality"]
CACHE_RESULTS = {"score": ("memory", "store", "miss"), "prediction": ("memory", "miss")}
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds of the histograms' buckets, in seconds."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OTHER = "other"
"""Label of all paths without a route and of all other methods, so that clients cannot create labels."""


class Metrics:
    """Metrics of one application, in a registry of their own. Thread-safe.

    Attributes:
        queue_depth: architectures that are queued for the device or being scored.
        event_streams: open event streams.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series
        self._registry = registry = CollectorRegistry()

        def counter(name: str, documentation: str, *labels: str) -> Counter:
            return Counter(f"archrank_{name}", documentation, labels, registry=registry)

        def gauge(name: str, documentation: str, *labels: str) -> Gauge:
            return Gauge(f"archrank_{name}", documentation, labels, registry=registry)

        def histogram(name: str, documentation: str, *labels: str) -> Histogram:
            return Histogram(f"archrank_{name}", documentation, labels, registry=registry, buckets=BUCKETS_S)

        self._requests = counter("http_requests", "HTTP requests answered", "method", "route", "status")
        self._request_duration = histogram(
            "http_request_duration_seconds", "Duration of HTTP requests", "method", "route"
        )
        requested = counter("architectures_requested", "Architectures of requests and jobs", "kind", "origin")
        completed = counter("architectures_completed", "Architectures completed", "kind", "origin", "outcome")
        cache_requests = counter("cache_requests", "Lookups of scores and predictions", "kind", "result")
        self._proxy_duration = histogram("proxy_duration_seconds", "Duration of computing a proxy", "proxy")
        self._scoring_duration = histogram("scoring_duration_seconds", "Duration of scoring an architecture")
        failures = counter("scoring_failures", "Architectures without scores", "kind")
        self.queue_depth = gauge("queue_depth", "Architectures queued for the device or being scored")
        self.event_streams = gauge("event_streams", "Open event streams")
        self._store_up = gauge("store_up", "1 if the store could be read, else 0")
        self._jobs = gauge("jobs", "Jobs in the store", "state")
        self._items = gauge("job_items", "Architectures of unfinished jobs", "state")
        self._studies = gauge("studies", "Studies in the store")
        self._observations = gauge("study_observations", "Observations of studies in the store")
        fits = histogram("study_fit_duration_seconds", "Duration of refitting a study", "kind")
        fit_failures = counter("study_fit_failures", "Refits of studies that failed", "kind")
        Info("archrank_build", "Version of archrank", registry=registry).info({"version": archrank_version()})
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        # Created with value 0, or the first increment would be invisible to rate(); looking labels up is also slower
        # than counting.
        labels = list(product(get_args(RequestKind), get_args(Origin)))
        self._requested = {key: requested.labels(*key) for key in labels}
        self._completed = {
            (*key, outcome): completed.labels(*key, outcome) for key in labels for outcome in get_args(Outcome)
        }
        self._cache_requests = {
            (kind, result): cache_requests.labels(kind, result)
            for kind, results in CACHE_RESULTS.items()
            for result in results
        }
        self._failures = {kind: failures.labels(kind) for kind in get_args(FailureKind)}
        self._fits = {kind: (fits.labels(kind), fit_failures.labels(kind)) for kind in get_args(FitKind)}
        self._by_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def register(self, collector: Collector) -> None:
        """Add the metrics of a collector, which are read at every scrape."""
        self._registry.register(collector)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format. Takes milliseconds."""
        return generate_latest(self._registry)

    def set_jobs(self, jobs: Mapping[str, int], items: Mapping[str, int]) -> None:
        """Set the numbers of jobs and of unfinished jobs' architectures, by state, as read from the store."""
        self._store_up.set(1)
        for state, number in jobs.items():
            self._jobs.labels(state).set(number)
        for state, number in items.items():
            self._items.labels(state).set(number)

    def set_store_down(self) -> None:
        """Report that the store could not be read, and drop the numbers of jobs and studies."""
        self._store_up.set(0)
        self._jobs.clear()
        self._items.clear()
        self._studies.set(math.nan)
        self._observations.set(math.nan)

    def set_studies(self, studies: int, observations: int) -> None:
        """Set the numbers of studies and of their observations, as read from the store."""
        self._studies.set(studies)
        self._observations.set(observations)

    @contextmanager
    def time_fit(self, kind: FitKind) -> Iterator[None]:
        """Record the duration of a refit, or its failure."""
        duration, failures = self._fits[kind]
        with failures.count_exceptions(Exception), duration.time():
            yield

    def record_http_request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Record an HTTP request.

        Args:
            method: HTTP method.
            route: template of the route's path; None if the path has no route.
            status: status code; 0 if the connection ended before the response started.
            seconds: duration.
        """
        key = (method if method in METHODS else OTHER, route or OTHER, status)
        if (metrics := self._by_request.get(key)) is None:
            metrics = self._requests.labels(*key), self._request_duration.labels(*key[:2])
            self._by_request[key] = metrics
        metrics[0].inc()
        metrics[1].observe(seconds)

    def record_requested(self, kind: RequestKind, origin: Origin, number: int) -> None:
        """Count architectures whose prediction or scores were requested."""
        self._requested[kind, origin].inc(number)

    def record_completed(self, kind: RequestKind, origin: Origin, outcomes: Mapping[str, int]) -> None:
        """Count completed architectures by `Outcome`."""
        for outcome, number in outcomes.items():
            if number:
                self._completed[kind, origin, outcome].inc(number)

    def record_cache_requests(self, kind: Literal["score", "prediction"], **results: int) -> None:
        """Count lookups by their result, one of `CACHE_RESULTS`."""
        for result, number in results.items():
            if number:
                self._cache_requests[kind, result].inc(number)

    def record_scoring(self, seconds: float, proxy_seconds: Mapping[str, float]) -> None:
        """Record the duration of scoring an architecture, in all and by proxy."""
        self._scoring_duration.observe(seconds)
        for proxy, duration in proxy_seconds.items():
            self._proxy_duration.labels(proxy).observe(duration)

    def record_scoring_failure(self, kind: FailureKind) -> None:
        """Count an architecture that could not be scored."""
        self._failures[kind].inc()
