"""Cost of scoring by pass and proxy, compared with a plain forward pass and with the machine's rate."""

from collections.abc import Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import numpy as np
import torch

from benchmarks.speed.machine import peak_gib, seconds
from benchmarks.speed.straightforward import straightforward
from models import get_space
from models.gcn_nas import GcnNasArchitecture
from models.gcn_nas.batches import synthetic_batch
from proxies import Score, proxy_infos, score
from proxies.memory import keep_freed_memory
from proxies.passes import PASSES

STUDY = (
    "params", "flops", "l2_norm", "grad_norm", "plain", "snip", "fisher", "grasp", "jacov", "epe_nas", "nwot",
    "grad_sign", "synflow", "zen",
)  # fmt: skip
"""The fourteen proxies of the published study."""
FORWARD_PASSES = 17.0
"""Operations of the fourteen proxies at N = 8, in forward passes: gradient 3, its curvature 6, jacov 1, the two without
batch norm 4, zen 2, synflow ¾."""


def architecture(depth: int, number: int = 0) -> GcnNasArchitecture:
    """Return a random architecture, the same for the same arguments."""
    return get_space("gcn-nas").sample(np.random.default_rng([depth, number]), depth=depth)


def measure(
    depth: int, batch_size: int, frames: int, proxies: tuple[str, ...] | None, repeats: int = 3
) -> dict[str, Any]:
    """Measure one architecture: seconds in total, by pass and by proxy, and in plain forward passes."""
    space = get_space("gcn-nas")
    arch = architecture(depth)
    network = space.build(arch)
    batch = synthetic_batch(space.task, batch_size, frames)
    input_shape = space.task.input_shapes(batch_size=batch_size, frames=frames)
    plain = straightforward(network).train()
    with torch.no_grad():
        forward = seconds(lambda: plain(batch.x))
    runs: list[tuple[float, dict[str, Score]]] = []
    for _ in range(repeats + 1):
        started = perf_counter()
        scores = score(network, batch.x, batch.y, proxies)
        runs.append((perf_counter() - started, scores))
    total, scores = min(runs[1:], key=lambda run: run[0])
    flops = space.cost(arch, input_shape).flops
    return {
        "depth": depth,
        "batch_size": batch_size,
        "frames": frames,
        "forward_s": forward,
        "forward_gflops": flops / 1e9,
        "total_s": total,
        "first_s": runs[0][0],
        "forward_passes": total / forward,
        "by_pass_s": dict(_by_pass(scores)),
        "by_proxy_s": {name: result.seconds for name, result in scores.items()},
    }


def _by_pass(scores: dict[str, Score]) -> Iterator[tuple[str, float]]:
    for name, served in served_by_pass(scores):
        yield name, sum(scores[proxy].seconds for proxy in served)


def served_by_pass(proxies: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each pass that serves some of `proxies`, with their names."""
    for shared_pass in PASSES:
        served = [info.name for info in proxy_infos() if info.needs <= shared_pass.provides and info.name in proxies]
        if served:
            yield type(shared_pass).__name__, served


def share_of_limit(measured: dict[str, Any], rate: float) -> float:
    """Return the fraction of the machine's rate in GFLOP/s that the fourteen proxies reach."""
    return float(FORWARD_PASSES * measured["forward_gflops"] / measured["total_s"] / rate)


def peak(depth: int, batch_size: int, frames: int) -> float:
    """Measure the peak memory in GiB of scoring one architecture with the default proxies, in a new process."""
    with _processes(1, torch.get_num_threads()) as pool:
        return pool.submit(_peak, depth, batch_size, frames).result()


def _peak(depth: int, batch_size: int, frames: int) -> float:
    space = get_space("gcn-nas")
    batch = synthetic_batch(space.task, batch_size, frames)
    score(space.build(architecture(depth)), batch.x, batch.y)
    return peak_gib()


def throughput(number: int, processes: int, threads: int) -> float:
    """Measure architectures per second with all proxies at the default fidelity, depths mixed, without start-up."""
    with _processes(processes, threads) as pool:
        list(pool.map(_score_default, range(processes * 2)))
        started = perf_counter()
        list(pool.map(_score_default, range(number)))
        return number / (perf_counter() - started)


def _score_default(number: int) -> None:
    space = get_space("gcn-nas")
    batch = synthetic_batch(space.task, batch_size=4, frames=8)
    score(space.build(architecture(4 + 2 * (number % 4), number)), batch.x, batch.y)


def _processes(number: int, threads: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(number, get_context("spawn"), initializer=partial(_prepare, threads))


def _prepare(threads: int) -> None:
    keep_freed_memory()
    torch.set_num_threads(threads)
