"""Architectures per second of several processes that share a GPU, with NVIDIA's Multi-Process Service and without."""

from collections.abc import Iterator, Sequence
from time import perf_counter

from benchmarks.gpu.agreement import DEPTHS
from benchmarks.gpu.backend import backend, outcomes, task
from benchmarks.gpu.checks import Check, Options, at_least, skipped, stated
from benchmarks.gpu.mps import mps
from benchmarks.speed.scoring import architecture
from models import get_space
from models.gcn_nas.batches import synthetic_batch
from service.workers.backend import Task

ALTERNATING, TOGETHER = (1, 2, 4), (1, 4, 8, 16)
"""Numbers in flight where processes take turns on the GPU, and where they run at the same time."""
GAIN = 10.0
"""Target of the best rate, in rates of one architecture at a time."""


def run(options: Options) -> Iterator[Check]:
    """Measure architectures per second at the default fidelity, all depths, by number in flight."""
    before = {}
    for flight, rate in _rates(options, ALTERNATING[:2] if options.small else ALTERNATING):
        before[flight] = rate
        yield stated(f"{flight} in flight", f"{rate:.3g} per second", rate)
    with mps(options.device) as reason:
        if reason is not None:
            yield skipped("several processes by MPS", reason)
            return
        rates = {}
        for flight, rate in _rates(options, TOGETHER):
            rates[flight] = rate
            yield stated(f"{flight} in flight, by MPS", f"{rate:.3g} per second", rate)
    yield at_least("at best, over one in flight", max(rates.values()) / before[1], GAIN, " times", options.timed, rates)


def _rates(options: Options, flights: Sequence[int]) -> Iterator[tuple[int, float]]:
    """Yield each number in flight, of as many processes as the largest, with its rate."""
    batch = synthetic_batch(get_space("gcn-nas").task, batch_size=4, frames=8)
    depths = DEPTHS[:1] if options.small else DEPTHS
    with backend(options, batch, max(flights)) as scoring:
        list(outcomes(scoring, _tasks(2 * max(flights), depths), max(flights)))  # warms up each process
        for flight in flights:
            tasks = _tasks(2 if options.small else 8 + 6 * flight, depths)
            started = perf_counter()
            failures = [outcome.failure for outcome in outcomes(scoring, tasks, flight) if outcome.failure]
            if failures:
                raise RuntimeError(failures[0].detail)
            yield flight, len(tasks) / (perf_counter() - started)


def _tasks(number: int, depths: Sequence[int]) -> list[Task]:
    return [task(architecture(depths[i % len(depths)], i)) for i in range(number)]
