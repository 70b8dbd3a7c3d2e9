"""Throughput of the Ray backend beside that of worker processes, interleaved in one run.

    python -m benchmarks.ray_overhead --rounds 6 --tasks 40

Starts a Ray cluster of one node on loopback, and both backends with as many workers as cores. Each round scores
the same architectures with each backend, in alternating order; the result is the median over the rounds.
"""

import argparse
import os
import secrets
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from socket import socket
from time import monotonic, perf_counter, sleep

import numpy as np
from rich.console import Console
from rich.table import Table

from models import get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import proxy_names
from service.workers.backend import Backend, Task
from service.workers.process_backend import ProcessBackend, WorkerOptions
from service.workers.ray_backend import RayBackend, RayOptions
from service.workers.ray_cluster import LOOPBACK_ENVIRONMENT

START_TIMEOUT_S = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--tasks", type=int, default=40, help="architectures a round")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--proxies", nargs="+", default=["params", "nwot"], choices=proxy_names())
    parser.add_argument("--frames", type=int, default=16)
    args = parser.parse_args()
    batch = synthetic_batch(get_space("gcn-nas").task, batch_size=4, frames=args.frames)
    batches = {batch.fingerprint: batch}
    tasks = make_tasks(args.tasks, batch.fingerprint, args.proxies)
    with cluster(args.workers) as address:
        backends: dict[str, Backend] = {
            "processes": ProcessBackend(batches, WorkerOptions(num_workers=args.workers, num_threads=1)),
            "ray": RayBackend(batches, RayOptions(address=address, min_workers=args.workers, max_workers=args.workers)),
        }
        try:
            for backend in backends.values():
                backend.start()
            for backend in backends.values():
                wait_until_idle(backend)
                rate(backend, tasks[: 2 * args.workers], -1)  # warm up
            rates: dict[str, list[float]] = {name: [] for name in backends}
            for number in range(args.rounds):
                for name in sorted(backends, reverse=number % 2 == 1):
                    rates[name].append(rate(backends[name], tasks, number))
        finally:
            for backend in backends.values():
                backend.stop()
    table = Table("backend", "architectures/s, median", "minimum", "maximum")
    for name, values in rates.items():
        table.add_row(name, *(f"{value:.2f}" for value in (statistics.median(values), min(values), max(values))))
    ratios = [mine / theirs for mine, theirs in zip(rates["ray"], rates["processes"], strict=True)]
    Console().print(table)
    Console().print(f"ray / processes, median of the rounds: {statistics.median(ratios):.3f}")


def make_tasks(number: int, probe_batch: str, proxies: Sequence[str]) -> list[Task]:
    """Return tasks of random architectures."""
    space, rng = get_space("gcn-nas"), np.random.default_rng(0)
    architectures = [space.to_json(space.sample(rng)) for _ in range(number)]
    return [
        Task(str(i), space.name, space.settings, architecture, probe_batch, 0, 1, proxies)
        for i, architecture in enumerate(architectures)
    ]


def rate(backend: Backend, tasks: Sequence[Task], number: int) -> float:
    """Score the tasks, and return the number of them per second."""
    started, futures = perf_counter(), []
    for task in tasks:
        while backend.capacity < 1:
            sleep(0.001)
        futures.append(backend.submit(replace(task, id=f"{number}.{task.id}")))
    outcomes = [future.result() for future in futures]
    seconds = perf_counter() - started
    if failures := [outcome.failure for outcome in outcomes if outcome.failure is not None]:
        raise RuntimeError(f"{len(failures)} tasks failed, the first with {failures[0]}")
    return len(tasks) / seconds


def wait_until_idle(backend: Backend) -> None:
    end = monotonic() + START_TIMEOUT_S
    while any(worker.state != "idle" for worker in backend.health().workers):
        if monotonic() > end:
            raise TimeoutError(f"the backend is not ready: {backend.health()}")
        sleep(0.05)


@contextmanager
def cluster(num_cpus: int) -> Iterator[str]:
    """Run a Ray cluster of one node on loopback, and yield its address."""
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    os.environ.update(LOOPBACK_ENVIRONMENT, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(16))
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--node-ip-address=127.0.0.1", "--block"]
    options = [f"--port={port}", f"--num-cpus={num_cpus}", "--include-dashboard=false", "--disable-usage-stats"]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as head:
        try:
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()


if __name__ == "__main__":
    main()
