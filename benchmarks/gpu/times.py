"""Times of scoring on the GPU, throughput, and a profile of the slowest pass."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.gpu import memory
from benchmarks.gpu.agreement import DEPTHS
from benchmarks.gpu.backend import backend, outcomes, task
from benchmarks.gpu.checks import Check, Options, at_least, at_most, holds, stated
from benchmarks.gpu.profiling import profiled
from benchmarks.speed.scoring import STUDY, architecture, served_by_pass
from models import ProbeBatch, get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import Score, score
from service.workers.backend import Task

IN_FLIGHT = (1, 2, 4, 8)


def run(options: Options) -> Iterator[Check]:
    """Measure the published proxies at two sizes, the default fidelity by number in flight, and a profile."""
    space = get_space("gcn-nas")
    network = space.build(architecture(4 if options.small else 10)).to(options.device)
    batch = synthetic_batch(space.task, *((2, 4) if options.small else (8, 64)))
    yield from _fourteen(options, network, batch, limit=0.120, repeats=1 if options.small else 7)
    yield from _slowest(options, network, batch)
    large = synthetic_batch(space.task, *((2, 8) if options.small else (20, 300)))
    yield from _fourteen(options, network, large, limit=2.0, repeats=1 if options.small else 2)
    yield from _rates(options)


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


def _rates(options: Options) -> Iterator[Check]:
    """Measure architectures per second at the default fidelity, all depths, in processes of the service."""
    batch = synthetic_batch(get_space("gcn-nas").task, batch_size=4, frames=8)
    flights, depths = ((1, 2), (4,)) if options.small else (IN_FLIGHT, DEPTHS)
    failures, rates = [], dict[int, float]()
    with backend(options, batch, max(flights)) as scoring:
        list(outcomes(scoring, _tasks(2 * max(flights), depths), max(flights)))  # warms up each process
        for flight in flights:
            number = 2 if options.small else 8 + 4 * flight
            tasks = _tasks(number, depths)
            started = perf_counter()
            failures += [outcome.failure for outcome in outcomes(scoring, tasks, flight) if outcome.failure]
            rates[flight] = number / (perf_counter() - started)
            yield stated(f"default fidelity, {flight} in flight", f"{rates[flight]:.3g} per second", rates[flight])
    yield holds("default fidelity, every task has scores", not failures, str(failures[0] if failures else "yes"), "yes")
    yield at_least("default fidelity, at best", max(rates.values()), 12, " per second", options.timed, rates)


def _tasks(number: int, depths: Sequence[int]) -> list[Task]:
    return [task(architecture(depths[i % len(depths)], i)) for i in range(number)]
