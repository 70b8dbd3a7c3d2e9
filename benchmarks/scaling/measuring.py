"""Measurements with real servers and a real PostgreSQL; only the workers are simulated."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np

from models import get_space
from service.inference.plan import Plan
from service.inference.queries import PredictionQuery, ScoreQuery
from service.inference.registry import EnsembleRegistry
from service.settings import Settings
from service.storage import ItemOutcome, Job, NewItem, Store
from tests.service.storage.postgres import Postgres

JobKind = Literal["scores", "predictions"]
BATCH = 64
"""Items of a claim."""
STOP_TIMEOUT_S = 60
POLL_INTERVAL_S = 0.2
WARM_UP = 32
"""Architectures of each server's first job, which makes the probe batch and is not measured."""
HEARTBEATS = 200


@dataclass(frozen=True)
class Rate:
    """Rate of some servers.

    Attributes:
        kind: kind of the jobs.
        servers: number of servers.
        workers: number of simulated workers of each.
        jobs: number of jobs.
        architectures: number of architectures of all jobs.
        task_seconds: duration of a task.
        seconds: time from the start of the first job to the end of the last.
        server_seconds: CPU time of all servers.
        database_seconds: CPU time of PostgreSQL.
    """

    kind: JobKind
    servers: int
    workers: int
    jobs: int
    architectures: int
    task_seconds: float
    seconds: float
    server_seconds: float
    database_seconds: float

    @property
    def per_second(self) -> float:
        """Architectures per second."""
        return self.architectures / self.seconds


class Bench:
    """A PostgreSQL server, and jobs of random architectures.

    Args:
        postgres: the stopped server.
        settings: settings of the archrank servers.
    """

    def __init__(self, postgres: Postgres, settings: Settings) -> None:
        self._postgres, self._settings = postgres, settings
        self._registry = EnsembleRegistry.load(settings)
        self._names = (f"scaling_{number}" for number in count())

    @contextmanager
    def _database(self) -> Iterator[str]:
        self._postgres.start()
        try:
            name = next(self._names)
            self._postgres.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
            yield self._postgres.url(name)
        finally:
            self._postgres.stop()

    def start_seconds(self) -> float:
        """Measure PostgreSQL's CPU time for its start, an empty store, and its stop."""
        before = _children_seconds()
        with self._database() as url:
            Store.open(url).close()
        return _children_seconds() - before

    def servers(
        self, kind: JobKind, servers: int, workers: int, architectures: int, task_seconds: float, jobs: int = 1
    ) -> Rate:
        """Measure the rate at which servers process jobs, which are created at once."""
        warm_up = servers * WARM_UP
        items = self._items(warm_up + architectures)
        with self._database() as url, Store.open(url) as store:
            with _servers(servers, url, workers, task_seconds, self._settings) as processes:
                _wait(store, self._create(store, kind, items[:warm_up]))
                server_seconds = -sum(map(_cpu_seconds, processes))
                created = [self._create(store, kind, items[warm_up + i :: jobs]) for i in range(jobs)]
                finished = [_wait(store, job) for job in created]
                server_seconds += sum(map(_cpu_seconds, processes))
            before = _children_seconds()
        database_seconds = _children_seconds() - before
        if any(job.done != job.total for job in finished):
            raise RuntimeError("an architecture failed")
        begin = min(job.started_at for job in finished if job.started_at is not None)
        end = max(job.finished_at for job in finished if job.finished_at is not None)
        seconds = (end - begin).total_seconds()
        return Rate(
            kind, servers, workers, jobs, architectures, task_seconds, seconds, server_seconds, database_seconds
        )

    def queue(self, clients: int, architectures: int, jobs: int = 1) -> dict[str, float]:
        """Measure the queue alone: threads that claim, begin and settle items in batches, without any work between.

        Returns:
            Items per second, milliseconds per batch of each operation, and PostgreSQL's CPU milliseconds per item.
        """
        items = self._items(architectures)
        before = _children_seconds()
        with self._database() as url, Store.open(url) as store:
            created = [self._create(store, "scores", items[i::jobs]) for i in range(jobs)]
            result = {"cached": False, "scores": {str(i): {"value": i / 7, "seconds": 0.1} for i in range(18)}}
            started = time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                spent = list(pool.map(lambda client: _process(store, str(client), result), range(clients)))
            seconds = time.perf_counter() - started
            done = sum(store.jobs.get(job.id).done for job in created)
        if done != architectures:
            raise RuntimeError(f"{done} of {architectures} items are done")
        batches = sum(times.pop("batches") for times in spent)
        means = {f"{name}_ms": 1e3 * sum(times[name] for times in spent) / batches for name in spent[0]}
        means["database_ms"] = 1e3 * (_children_seconds() - before) / architectures
        return {"clients": clients, "jobs": jobs, "per_second": architectures / seconds, **means}

    def heartbeats(self, servers: int) -> dict[str, float]:
        """Measure the heartbeats of one server among some that are registered."""
        before = _children_seconds()
        with self._database() as url, Store.open(url) as store:
            for server in range(servers):
                store.servers.beat(f"server {server}")
            started = time.perf_counter()
            for _ in range(HEARTBEATS):
                store.servers.beat("server 0")
                store.queue.requeue_lost(10, {})
            seconds = time.perf_counter() - started
        database_ms = 1e3 * (_children_seconds() - before) / HEARTBEATS
        return {"servers": servers, "per_second": HEARTBEATS / seconds, "database_ms": database_ms}

    def _items(self, number: int) -> list[NewItem]:
        space, generator = get_space("gcn-nas"), np.random.default_rng(0)
        sampled: dict[str, NewItem] = {}
        while len(sampled) < number:
            architecture = space.sample(generator)
            sampled[architecture.fingerprint] = NewItem(space.to_json(architecture), architecture.fingerprint)
        return list(sampled.values())

    def _create(self, store: Store, kind: JobKind, items: Sequence[NewItem]) -> Job:
        query: ScoreQuery | PredictionQuery = (
            ScoreQuery(space="gcn-nas") if kind == "scores" else PredictionQuery(space="gcn-nas")
        )
        plan = Plan.from_query(query, self._registry)
        options: dict[str, Any] = asdict(plan.query)
        return store.jobs.create(kind, options, items, "anonymous", basis=plan.basis)[0]


@contextmanager
def bench() -> Iterator[Bench]:
    """Create a PostgreSQL cluster in a temporary directory, as tests do."""
    settings = Settings(device="cpu")
    directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path must be short
    with tempfile.TemporaryDirectory() as ensembles:
        try:
            name = settings.default_ensemble  # the others would only delay the start of the servers
            (Path(ensembles) / name).symlink_to(settings.ensembles_dir.absolute() / name)
            yield Bench(Postgres(directory), Settings(device="cpu", ensembles_dir=Path(ensembles)))
        finally:
            shutil.rmtree(directory)


def _process(store: Store, server: str, result: dict[str, Any]) -> dict[str, float]:
    spent = dict.fromkeys(("claim", "begin", "settle", "batches"), 0.0)
    while True:
        times = [time.perf_counter()]
        claims = store.queue.claim(BATCH, server)
        if not claims:
            return spent
        times.append(time.perf_counter())
        store.queue.begin(claims)
        times.append(time.perf_counter())
        store.queue.settle([ItemOutcome(claim, result=result) for claim in claims])
        times.append(time.perf_counter())
        for name, seconds in zip(("claim", "begin", "settle"), np.diff(times), strict=True):
            spent[name] += float(seconds)
        spent["batches"] += 1


@contextmanager
def _servers(
    number: int, url: str, workers: int, task_seconds: float, settings: Settings
) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start servers, wait until they are ready, and stop them."""
    command = [sys.executable, "-m", "benchmarks.scaling.server", url, str(workers), str(task_seconds)]
    env = os.environ | {"ARCHRANK_ENSEMBLES_DIR": str(settings.ensembles_dir)}
    with ExitStack() as stack:
        processes = []
        for _ in range(number):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
            stack.enter_context(process)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            _line(process)
        yield processes
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(STOP_TIMEOUT_S)


def _cpu_seconds(process: "subprocess.Popen[str]") -> float:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(_line(process))


def _line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    if not (line := process.stdout.readline()):
        raise RuntimeError("a server ended")
    return line


def _wait(store: Store, job: Job) -> Job:
    while True:
        current = store.jobs.get(job.id)
        if current.finished_at is not None:
            return current
        time.sleep(POLL_INTERVAL_S)


def _children_seconds() -> float:
    """Return the CPU time of the child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
