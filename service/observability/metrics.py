"""What is counted and timed, for Prometheus. docs/service.md says what each metric means."""

from collections.abc import Iterator, Mapping
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
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from common.version import archrank_version
from proxies import Score
from service.storage.records import ACTIVE_STATES, JobCounts, JobState
from service.workers.base import Backend, BackendState, Outcome, ProcessState
from service.workers.base import Kind as FailureKind

Asked = Literal["predictions", "scores"]
Origin = Literal["request", "job"]
OUTCOMES = ("answered", "unreadable", "failed")
FOUND = {"score": ("memory", "store", "nowhere"), "prediction": ("memory", "nowhere")}
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper ends, in seconds."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OTHER = "other"
"""Stands for every path without a route and for any other method: clients make up no labels."""


class Metrics:
    """The metrics of one application. Threads may share it.

    Attributes:
        waiting: architectures that wait for a place at the device or have one.
        streams: event streams that are open.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series
        self._registry = registry = CollectorRegistry()

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"archrank_{name}", what, labels, registry=registry)

        def histogram(name: str, what: str, *labels: str) -> Histogram:
            return Histogram(f"archrank_{name}", what, labels, registry=registry, buckets=BUCKETS)

        self._requests = counter("requests", "HTTP requests answered", "method", "route", "status")
        self._request_seconds = histogram("request_seconds", "Duration of HTTP requests", "method", "route")
        asked = counter("architectures_asked", "Architectures begun to be answered", "kind", "origin")
        answered = counter("architectures_answered", "Architectures answered", "kind", "origin", "outcome")
        looked_up = counter("lookups", "Scores and predictions looked up", "what", "found")
        self._proxy_seconds = histogram("proxy_seconds", "What a computed score took", "proxy")
        self._scored = histogram("architecture_seconds", "What it took to score an architecture")
        failures = counter("scoring_failures", "Architectures without scores", "kind")
        self.waiting = Gauge("archrank_waiting", "Architectures that wait for a place or have one", registry=registry)
        self.streams = Gauge("archrank_event_streams", "Event streams that are open", registry=registry)
        self._store_up = Gauge("archrank_store_up", "Whether the store could be read", registry=registry)
        self._jobs = Gauge("archrank_jobs", "Jobs", ["state"], registry=registry)
        self._items = Gauge("archrank_job_items", "Architectures of jobs", ["state"], registry=registry)
        Info("archrank_build", "What runs", registry=registry).info({"version": archrank_version()})
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        # At 0 from the beginning, or the first of each would go unseen; and to look labels up costs more than to count.
        asking = list(product(get_args(Asked), get_args(Origin)))
        self._asked = {key: asked.labels(*key) for key in asking}
        self._answered = {(*key, outcome): answered.labels(*key, outcome) for key in asking for outcome in OUTCOMES}
        self._looked_up = {(what, where): looked_up.labels(what, where) for what in FOUND for where in FOUND[what]}
        self._failures = {kind: failures.labels(kind) for kind in get_args(FailureKind)}
        self._by_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def watch(self, backend: Backend) -> None:
        """Ask it how it is whenever somebody looks."""
        self._registry.register(_Watched(backend))

    def text(self) -> bytes:
        """All metrics as Prometheus reads them; takes milliseconds."""
        return generate_latest(self._registry)

    def stored(self, jobs: Mapping[JobState, JobCounts] | None) -> None:
        """What the store says of its jobs by state, or that it does not."""
        self._store_up.set(jobs is not None)
        if jobs is None:
            self._jobs.clear()
            self._items.clear()
            return
        for state in get_args(JobState):
            self._jobs.labels(state).set(jobs[state].jobs if state in jobs else 0)
        active = [jobs[state] for state in ACTIVE_STATES if state in jobs]
        self._items.labels("waiting").set(sum(counts.queued for counts in active))
        self._items.labels("running").set(sum(counts.running for counts in active))

    def request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """A request was answered; `route` is its template."""
        key = (method if method in METHODS else OTHER, route or OTHER, status)
        if (known := self._by_request.get(key)) is None:
            known = self._requests.labels(*key), self._request_seconds.labels(*key[:2])
            self._by_request[key] = known
        known[0].inc()
        known[1].observe(seconds)

    def asked(self, kind: Asked, origin: Origin, number: int) -> None:
        """So many architectures are begun to be answered."""
        self._asked[kind, origin].inc(number)

    def answered(self, kind: Asked, origin: Origin, outcomes: Mapping[str, int]) -> None:
        """So many architectures were answered, by each of `OUTCOMES`."""
        for outcome, number in outcomes.items():
            if number:
                self._answered[kind, origin, outcome].inc(number)

    def looked_up(self, what: Literal["score", "prediction"], **found: int) -> None:
        """So many were looked up, by where they were found, as in `FOUND`."""
        for where, number in found.items():
            if number:
                self._looked_up[what, where].inc(number)

    def computed(self, outcome: Outcome, scores: Mapping[str, Score]) -> None:
        """An architecture came back from the backend."""
        if outcome.failure is not None:
            self._failures[outcome.failure.kind].inc()
            return
        self._scored.observe(outcome.seconds)
        for name, score in scores.items():
            if score.status == "ok":
                self._proxy_seconds.labels(name).observe(score.seconds)


class _Watched(Collector):
    """What a backend knows itself."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def collect(self) -> Iterator[Metric]:
        health = self._backend.health()
        states = [process.state for process in health.processes]
        yield _gauges(
            "backend_state",
            "1 for the state that it is in",
            {state: int(state == health.state) for state in get_args(BackendState)},
        )
        yield _gauges(
            "processes", "Scoring processes", {state: states.count(state) for state in get_args(ProcessState)}
        )
        yield _counter("process_restarts", "Processes replaced for a fault or a cancelled task", health.restarts)
        yield _counter(
            "process_recycled",
            "Processes replaced as a matter of course",
            sum(process.recycled for process in health.processes),
        )
        yield _counter("process_out_of_memory", "Tasks that ran out of memory", health.out_of_memory)
        yield _counter("process_deadlines", "Tasks that were over their deadline", health.deadlines)


def _gauges(name: str, what: str, by_state: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"archrank_{name}", what, labels=["state"])
    for state, number in by_state.items():
        family.add_metric([state], number)
    return family


def _counter(name: str, what: str, number: int) -> CounterMetricFamily:
    return CounterMetricFamily(f"archrank_{name}", what, number)
