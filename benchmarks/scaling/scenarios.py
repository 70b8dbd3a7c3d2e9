"""Measured and simulated scenarios of docs/scaling.md."""

from collections.abc import Mapping
from typing import Any

from benchmarks.scaling.measuring import Bench, Rate
from benchmarks.scaling.queueing import Costs, System, simulate

TASK_SECONDS = 0.03
WORKERS = (1, 8, 64, 512)
MEASURED_WORKERS = {"scores": WORKERS, "predictions": (64, 512)}
GPUS = (1, 8, 64)
ARCHITECTURES, CURVE = 10_000, 2_000
"""Architectures of the cost, and of each simulated rate."""
SCORED_PER_GPU = {4: 2.31, 16: 11.7}
"""Architectures per second, default proxies, by processes on a GPU: taking turns, and by MPS; docs/performance.md."""
DATABASE_CORES = 4


def measurements() -> Mapping[str, Any]:
    """Return the measurements by name, each a function of a `Bench`."""
    steps: dict[str, Any] = {"database/start": lambda bench: bench.start_seconds()}
    for kind, counts in MEASURED_WORKERS.items():
        for workers in counts:
            architectures = min(1000, max(100, 40 * workers))
            steps[f"servers/{kind}, 1 × {workers}"] = lambda bench, kind=kind, workers=workers, n=architectures: row(
                bench.servers(kind, 1, workers, n, TASK_SECONDS)
            )
    for clients, jobs in ((1, 1), (4, 1), (4, 4)):
        steps[f"queue/{clients}, {jobs}"] = lambda bench, clients=clients, jobs=jobs: bench.queue(clients, 2000, jobs)
    for servers in (4, 64):
        steps[f"heartbeats/{servers}"] = lambda bench, servers=servers: bench.heartbeats(servers)
    for servers, jobs in ((2, 2), (4, 1), (4, 4)):
        steps[f"servers/scores, {servers} × 64, {jobs} jobs"] = lambda bench, servers=servers, jobs=jobs: row(
            bench.servers("scores", servers, 64, 1000, TASK_SECONDS, jobs)
        )
    return steps


def row(rate: Rate) -> dict[str, Any]:
    """Convert a rate to JSON data."""
    n = rate.architectures
    return {
        "kind": rate.kind,
        "servers": rate.servers,
        "workers": rate.workers,
        "jobs": rate.jobs,
        "architectures": n,
        "per_second": rate.per_second,
        "server_ms": 1e3 * rate.server_seconds / n,
        "database_seconds": rate.database_seconds,
    }


def measure(bench: Bench, name: str) -> Any:
    """Return the result of a measurement."""
    return measurements()[name](bench)


def database_ms(measured: Mapping[str, Any], name: str) -> float:
    """Return PostgreSQL's CPU milliseconds for an architecture, without those of its start."""
    fields = measured[name]
    return float(1e3 * (fields["database_seconds"] - measured["database/start"]) / fields["architectures"])


def costs(measured: Mapping[str, Any], kind: str) -> Costs:
    """Return the times of an architecture, from the measurement with 64 workers and from that of the queue."""
    name = f"servers/{kind}, 1 × 64"
    lock = measured["queue/1, 1"]["database_ms"] / 1e3  # at least; the rest depends on the load of the machine
    return Costs(measured[name]["server_ms"] / 1e3, database_ms(measured, name) / 1e3, lock)


def simulated(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the simulated scenarios."""
    by_kind = {kind: costs(measured, kind) for kind in ("scores", "predictions")}
    curves = {
        f"{kind}, {servers}": [
            {"workers": workers, "bound": system.bound, "per_second": CURVE / simulate(system, CURVE)}
            for workers in (2**i for i in range(servers.bit_length() - 1, 12))
            for system in (
                System(by_kind[kind], TASK_SECONDS, workers, servers, jobs=servers, database_cores=DATABASE_CORES),
            )
        ]
        for kind in by_kind
        for servers in (1, 4, 8)
    }
    return {"curves": curves, "gpus": [gpu for kind in by_kind for gpu in _gpus(kind, by_kind[kind])]}


def _gpus(kind: str, cost: Costs) -> list[dict[str, Any]]:
    rows = []
    for gpus in GPUS:
        measured = [(workers / rate, workers) for workers, rate in SCORED_PER_GPU.items()]
        for task_seconds, per_gpu in (*measured, (TASK_SECONDS, 1)):
            for servers in (1, 8):
                workers = gpus * per_gpu
                if workers < servers:
                    continue
                system = System(cost, task_seconds, workers, servers, jobs=servers, database_cores=DATABASE_CORES)
                seconds = simulate(system, ARCHITECTURES)
                rows.append(
                    {
                        "kind": kind,
                        "gpus": gpus,
                        "task_seconds": task_seconds,
                        "workers": workers,
                        "servers": servers,
                        "seconds": seconds,
                        "gpu_hours": gpus * seconds / 3600,
                        "use": ARCHITECTURES * task_seconds / workers / seconds,
                    }
                )
    return rows
