"""Time of a study's refit over HTTP, and what other requests notice of it.

    python -m benchmarks.refits --benchmark $ARCHRANK_BENCHMARKS/nas-bench-graph/cs.npz --sizes 200 2000

Runs a server with a study whose sources are the ensembles of the space, that of the benchmark's own data set excepted.
For each size it posts all observations but one, waits for the fit, posts the last one and times the next fit and its
quality. Meanwhile a second connection asks for predictions and for the server's health.
"""

import argparse
import threading
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import httpx
import numpy as np
from rich.console import Console
from rich.table import Table

from ensemble.data.benchmark import Benchmark
from ensemble.data.loading import load_benchmark
from service.cli.demo import server

WAIT = {"Prefer": "wait=60"}
POLL_INTERVAL_S = 0.05
NUM_PREDICTED = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", type=Path, required=True, help="a data set of NAS-Bench-Graph")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 2000], help="numbers of observations")
    args = parser.parse_args()
    benchmark = load_benchmark(args.benchmark, "nas-bench-graph")
    table = Table("observations", "post, s", "fit, s", "fit and quality, s", "predictions max, s", "health max, s")
    with server() as url, httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        for size in args.sizes:
            row = measure(client, benchmark, size, excluded=f"nas-bench-graph-{args.benchmark.stem}")
            table.add_row(str(size), *(f"{seconds:.2f}" for seconds in row))
    Console().print(table)


def measure(client: httpx.Client, benchmark: Benchmark, size: int, excluded: str) -> tuple[float, ...]:
    """Return the durations of a post, of the fit after it, of fit and quality, and the longest of other requests."""
    chosen = np.random.default_rng(0).choice(len(benchmark), size + NUM_PREDICTED, replace=False).tolist()
    space, entries = benchmark.space, [benchmark.entries[i] for i in chosen]
    rows = [{"architecture": space.to_json(each.architecture), "value": each.accuracy} for each in entries[:size]]
    queried = [space.to_json(each.architecture) for each in entries[size:]]
    ensembles = client.get(f"/v1/spaces/{space.name}").json()["ensembles"]
    sources = [name for name in ensembles if name != excluded]
    body = {"name": f"{size}", "space": space.name, "settings": space.settings, "sources": sources}
    place = _post(client, "/v1/studies", {**body, "observations": rows[:-1]}).headers["location"]
    _state(client, place, size - 1)
    stop, others = threading.Event(), _Others(client.base_url, place, queried)
    thread = threading.Thread(target=others.run, args=(stop,))
    thread.start()
    started = perf_counter()
    _post(client, f"{place}/observations", {"observations": rows[-1:]})
    posted = perf_counter() - started
    while (client.get(place).json()["fitted"] or {"observations": 0})["observations"] < size:
        sleep(POLL_INTERVAL_S)
    fitted = perf_counter() - started
    _state(client, place, size)
    rated = perf_counter() - started
    stop.set()
    thread.join()
    return posted, fitted, rated, others.predictions, others.health


class _Others:
    """Requests beside the refit.

    Attributes:
        predictions: longest duration of predictions, in seconds.
        health: that of the server's health.
    """

    def __init__(self, url: httpx.URL, place: str, architectures: list[Any]) -> None:
        self._url, self._place, self._body = url, place, {"architectures": architectures}
        self.predictions = self.health = 0.0

    def run(self, stop: threading.Event) -> None:
        with httpx.Client(base_url=self._url, timeout=120, trust_env=False) as client:
            while not stop.is_set():
                started = perf_counter()
                _post(client, f"{self._place}/predictions", self._body)
                predicted = perf_counter()
                client.get("/health/live").raise_for_status()
                self.predictions = max(self.predictions, predicted - started)
                self.health = max(self.health, perf_counter() - predicted)
                sleep(POLL_INTERVAL_S)


def _post(client: httpx.Client, path: str, body: Any) -> httpx.Response:
    return client.post(path, json=body).raise_for_status()


def _state(client: httpx.Client, place: str, size: int) -> None:
    """Wait until fit and quality rest on a number of observations."""
    while True:
        state = client.get(place, headers=WAIT).raise_for_status().json()
        if state["quality"] and state["quality"]["observations"] == size:
            return


if __name__ == "__main__":
    main()
