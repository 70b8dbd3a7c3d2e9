"""Times of scoring on the GPU, and a profile of the slowest pass."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu import memory
from benchmarks.gpu.checks import Check, Options, at_most, holds, stated
from benchmarks.gpu.profiling import profiled
from benchmarks.speed.scoring import STUDY, architecture, served_by_pass
from models import ProbeBatch, get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import Score, score, score_batch


def run(options: Options) -> Iterator[Check]:
    """Measure the published proxies at two sizes, and a profile."""
    space = get_space("gcn-nas")
    network = space.build(architecture(4 if options.small else 10)).to(options.device)
    batch = synthetic_batch(space.task, *((2, 4) if options.small else (8, 64)))
    yield from _fourteen(options, network, batch, limit=0.120, repeats=1 if options.small else 7)
    yield from _slowest(options, network, batch)
    yield _by_samples(options, network)
    yield _default(options)
    large = synthetic_batch(space.task, *((2, 8) if options.small else (20, 300)))
    yield from _fourteen(options, network, large, limit=2.0, repeats=1 if options.small else 2)


def _fourteen(options: Options, network: Any, batch: ProbeBatch, limit: float, repeats: int) -> Iterator[Check]:
    """Measure the fourteen proxies of the study: in total, the first time, by pass, and their memory."""
    what = f"the 14 published, {network.arch.depth} layers, N = {len(batch.x)}, T = {batch.x.shape[2]}"
    x, y = batch.x.to(options.device), batch.y.to(options.device)
    runs: list[tuple[float, dict[str, Score]]] = []
    for _ in range(repeats + 1):
        started = perf_counter()
        scores = score(network, x, y, STUDY)
        runs.append((perf_counter() - started, scores))
    notes = [f"{name}: {result.error or result.note}" for name, result in scores.items() if result.error or result.note]
    yield holds(f"{what}: each has a score, in one chunk", not notes, notes[0] if notes else "yes", "yes", notes)
    warm = [seconds for seconds, _ in runs[1:]]
    data = {"seconds": warm, "first": runs[0][0], "shape": list(batch.x.shape)}
    yield at_most(what, 1e3 * median(warm), 1e3 * limit, " ms", options.timed, data)
    by_pass = {name: sum(scores[proxy].seconds for proxy in served) for name, served in served_by_pass(STUDY)}
    text = ", ".join(f"{name.removesuffix('Pass')} {1e3 * seconds:.0f}" for name, seconds in by_pass.items())
    yield stated(f"{what}: the first time, then by pass", f"{1e3 * runs[0][0]:.0f} ms; {text}", by_pass)
    peak = memory.peak(lambda: score(network, x, y, STUDY), options.device) / 2**30
    yield stated(f"{what}: peak memory", f"{peak:.2g} GiB", peak)


def _slowest(options: Options, network: Any, batch: ProbeBatch) -> Iterator[Check]:
    """Profile the slowest pass."""
    x, y = batch.x.to(options.device), batch.y.to(options.device)
    scores = score(network, x, y, STUDY)
    passes = dict(served_by_pass(STUDY))
    name = max(passes, key=lambda name: sum(scores[proxy].seconds for proxy in passes[name]))
    profile = profiled(lambda: score(network, x, y, passes[name]), options.device)
    text = (
        f"{profile.launches} kernels, {profile.synchronisations} synchronisations, {profile.copies} copies, "
        f"{profile.reads} numbers read, the GPU is busy {profile.share:.0%} of {1e3 * profile.seconds:.0f} ms"
    )
    yield stated(f"the slowest pass, {name} ({', '.join(passes[name])})", text, asdict(profile))


def _by_samples(options: Options, network: Any) -> Check:
    """Time a forward pass, and a forward and backward pass, by number of samples."""
    times = {}
    for number in (2, 4) if options.small else (4, 32, 128, 512):
        batch = synthetic_batch(get_space("gcn-nas").task, number, frames=8)
        x = batch.x.to(options.device)
        times[number] = tuple(
            1e3 * _seconds(options, partial(_run, network, x, backward)) for backward in (False, True)
        )
    text = ", ".join(f"{number}: {forward:.0f} and {both:.0f}" for number, (forward, both) in times.items())
    return stated(f"forward, and forward and backward, {network.arch.depth} layers, by samples", f"{text} ms", times)


def _run(network: Any, x: Tensor, backward: bool) -> None:
    with torch.set_grad_enabled(backward):
        total = network(x).sum()
        if backward:
            total.backward()


def _seconds(options: Options, work: Callable[[], None], repeats: int = 3) -> float:
    """Return the mean time of a computation on the device, after one to warm up."""
    work()
    _synchronize(options.device)
    started = perf_counter()
    for _ in range(repeats):
        work()
    _synchronize(options.device)
    return (perf_counter() - started) / repeats


def _default(options: Options) -> Check:
    """Profile the default proxies of four layers at the default fidelity."""
    space = get_space("gcn-nas")
    network = space.build(architecture(4)).to(options.device)
    batch = synthetic_batch(space.task, *((2, 4) if options.small else (4, 8))).to(options.device)
    score_batch(network, batch)
    profile = profiled(lambda: score_batch(network, batch), options.device)
    text = f"{profile.launches} kernels, the GPU is busy {profile.share:.0%} of {1e3 * profile.seconds:.0f} ms"
    return stated("the default proxies, 4 layers, default fidelity", text, asdict(profile))


def _synchronize(device: str) -> None:
    """Wait for the computations on a GPU."""
    if device == "cuda":
        torch.cuda.synchronize()
