"""Agreement of every proxy between CPU and GPU on the networks of the other built-in spaces."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.gpu.agreement import STATED, difference, repeats, tolerance
from benchmarks.gpu.checks import Check, Options, at_most, stated
from models import get_space
from proxies import Score
from proxies.runner import score_batch

SPACES = ("nas-bench-graph", "nas-bench-201")


def run(options: Options) -> Iterator[Check]:
    """Compare devices, and repeated runs on the device."""
    for name in SPACES:
        space: Any = get_space(name)
        rng = np.random.default_rng(0)
        chosen = [space.sample(rng) for _ in range(1 if options.small else 4)]
        batch = space.task.synthetic_batch()

        def scores(device: str, space: Any = space, chosen: Any = chosen, batch: Any = batch) -> list[dict[str, Score]]:
            return [score_batch(space.build(arch).to(device), batch.to(device)) for arch in chosen]

        reference, first, second = scores("cpu"), scores(options.device), scores(options.device)
        yield repeats(f"{name}, bit-equal repeats in a process", first, second)
        seconds = sum(result.seconds for row in second for result in row.values())
        yield stated(f"{name}, all proxies", f"{seconds / len(second):.2g} s an architecture")
        for proxy in reference[0]:
            pairs = [(a[proxy], b[proxy]) for a, b in zip(reference, first, strict=True)]
            if all(a.status == b.status == "not_applicable" for a, b in pairs):
                continue
            largest = max(difference(a, b) for a, b in pairs)
            label = f"{name}, {proxy}, relative difference"
            if proxy in STATED:
                yield stated(label, f"{largest:.2g}")
            else:
                yield at_most(label, largest, tolerance(proxy))
