"""Two scoring processes on one GPU behind a server, over HTTP."""

from collections.abc import Iterator
from time import perf_counter
from typing import Any

from benchmarks.gpu.agreement import STATED, TOLERANCE, difference
from benchmarks.gpu.checks import Check, Options, at_most, holds, skipped, stated
from benchmarks.speed.scoring import architecture
from models import get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import Score, score
from service.workers.process_backend import visible_gpus

PROCESSES = 2
NUM_ARCHITECTURES = 16
"""Architectures that two processes score at 1.5 per second, and this one at 0.9 per second for the comparison."""


def run(options: Options) -> Iterator[Check]:
    """Compare scores over HTTP with those of this process, and measure the throughput."""
    try:
        import httpx

        from service.cli.demo import server
    except ImportError as error:
        yield skipped("two processes behind a server", f"needs an installation (make install): {error}")
        return
    space, number = get_space("gcn-nas"), 4 if options.small else NUM_ARCHITECTURES
    chosen = [architecture(4 if options.small else 4 + 2 * (i % 4), i) for i in range(number)]
    names = ["nwot", "zen", "synflow"] if options.small else None
    body: dict[str, Any] = {"architectures": [space.to_json(arch) for arch in chosen]}
    if names is not None:
        body["proxies"] = names
    settings = {
        "ARCHRANK_DEVICE": options.device,
        "ARCHRANK_NUM_WORKERS": str(PROCESSES),
        "ARCHRANK_WORKERS_PER_GPU": str(PROCESSES),
        "ARCHRANK_SYNC_TIMEOUT": "600",
        "CUDA_VISIBLE_DEVICES": ",".join(visible_gpus()[:1]),
    }
    with server(settings) as url, httpx.Client(base_url=url, timeout=600, trust_env=False) as client:
        started = perf_counter()
        response = client.post("/v1/predictions", json=body)
        seconds = perf_counter() - started
        metrics = client.get("/metrics").text
    if response.is_error:
        yield holds("scored over HTTP", False, f"{response.status_code}: {response.text[:200]}", "200")
        return
    answer = response.json()
    workers = sum(float(row.split()[-1]) for row in metrics.splitlines() if row.startswith("archrank_workers{"))
    yield holds("processes", workers == PROCESSES, f"{workers:.0f}", str(PROCESSES))
    yield holds("device", answer["device"] == options.device, answer["device"], options.device)
    yield stated(f"{number} over HTTP, the first ones included", f"{number / seconds:.3g} per second", seconds)
    batch = synthetic_batch(space.task, batch_size=4, frames=8)
    networks = (space.build(arch).to(options.device) for arch in chosen)
    yield _same(answer["predictions"], [score(network, batch.x, batch.y, names) for network in networks])


def _same(predictions: list[dict[str, Any]], expected: list[dict[str, Score]]) -> Check:
    """Check the largest difference between the server's scores and those of this process on the same device."""
    fields = Score.__dataclass_fields__
    differences = {
        name: difference(
            result, Score(**{key: value for key, value in prediction["scores"][name].items() if key in fields})
        )
        for prediction, scores in zip(predictions, expected, strict=True)
        for name, result in scores.items()
        if name not in STATED
    }
    return at_most("largest difference from this process", max(differences.values()), TOLERANCE, data=differences)
