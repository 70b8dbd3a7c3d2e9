"""Every proxy on the CPU and on the GPU, and twice on the GPU."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.gpu.backend import backend, outcomes, task
from benchmarks.gpu.checks import Check, Options, at_most, holds, stated
from benchmarks.speed.scoring import architecture
from models import Architecture, get_space
from models.batches import ProbeBatch, synthetic_batch
from proxies import Score, proxy_names, score

TOLERANCE = 1e-3
"""Largest relative difference between the devices."""
STATED = ("epe_nas", "grad_sign")
"""Without a target: epe_nas divides by differences that are all but nothing, grad_sign counts signs of gradients that
are all but 0, so that rounding shows whatever one does."""
DEPTHS = (4, 6, 8, 10)
Scores = Mapping[str, Score]


def run(options: Options) -> Iterator[Check]:
    """Differences by proxy, the rounding behind them, and repeats in the same process and in another."""
    space = get_space("gcn-nas")
    batch = synthetic_batch(space, batch_size=4, frames=4 if options.small else 8)
    depths = DEPTHS[::3] if options.small else DEPTHS
    first = range(1 if options.small else len(DEPTHS))
    chosen = [architecture(depth, number) for number in range(1 if options.small else 6) for depth in depths]
    found = [_scores(one, batch, options.device) for one in chosen]
    again = [_scores(one, batch, options.device) for one in chosen]
    yield repeats("bit-equal repeats in a process", found, again)
    with backend(options, batch, processes=1) as one:
        elsewhere = [outcome.scores or {} for outcome in outcomes(one, (task(chosen[i]) for i in first), 1)]
    there = [{name: Score(**fields) for name, fields in scores.items()} for scores in elsewhere]
    yield repeats("bit-equal repeats in another process", [found[i] for i in first], there)
    reference = [_scores(one, batch, "cpu") for one in chosen]
    exact = [_scores(chosen[i], batch, "cpu", double=True) for i in first]
    yield from agreement(reference, found, exact)


def _scores(one: Architecture, batch: ProbeBatch, device: str, double: bool = False) -> Scores:
    network, x = get_space(one.space).build(one).to(device), batch.x
    return score(network.double(), x.double(), batch.y) if double else score(network, x, batch.y)


def agreement(reference: list[Scores], found: list[Scores], exact: list[Scores]) -> Iterator[Check]:
    """One check a proxy: the largest relative difference from the reference.

    Args:
        reference: on the CPU, by architecture.
        found: on the GPU, of the same.
        exact: on the CPU in float64, of the first of them: how far the reference is from it is rounding, whatever the
            device.
    """
    for name in proxy_names():
        failures = [one[name].error for scores in (reference, found) for one in scores if one[name].status != "ok"]
        if failures:
            yield holds(name, False, f"{len(failures)} failed: {failures[0]}", "ok")
            continue
        differences = [difference(a[name], b[name]) for a, b in zip(reference, found, strict=True)]
        rounding = max((difference(a[name], b[name]) for a, b in zip(exact, reference, strict=False)), default=0.0)
        data: dict[str, Any] = {"largest": max(differences), "each": differences, "cpu_float32_to_float64": rounding}
        text = f"of float32 on the CPU: {rounding:.2g}"
        if name in STATED:
            yield stated(f"{name}, relative difference", f"{max(differences):.2g}; {text}", data)
        else:
            one = at_most(f"{name}, relative difference", max(differences), TOLERANCE, data=data)
            yield Check(one.name, one.status, f"{max(differences):.2g}; {text}", one.target, data)


def difference(reference: Score, other: Score) -> float:
    """Relative difference of two values, by their logarithms where they have those; infinite where one failed."""
    if reference.status != "ok" or other.status != "ok":
        return math.inf
    if reference.log is not None and other.log is not None:
        distance = abs(reference.log - other.log)
        return math.expm1(distance) if distance < 1 else math.inf
    assert reference.value is not None
    assert other.value is not None
    if reference.value == other.value:
        return 0.0
    return abs(other.value - reference.value) / abs(reference.value) if reference.value else math.inf


def repeats(name: str, first: list[Scores], second: list[Scores]) -> Check:
    """Bit-equality of two runs, for every proxy of every architecture."""
    unlike: dict[str, int] = {}
    for one, other in zip(first, second, strict=True):
        for proxy in one.keys() | other.keys():
            if proxy not in one or proxy not in other or _bits(one[proxy]) != _bits(other[proxy]):
                unlike[proxy] = unlike.get(proxy, 0) + 1
    total = sum(map(len, first))
    said = "".join(f", {proxy} {times}×" for proxy, times in sorted(unlike.items()))
    return holds(name, total > 0 and not unlike, f"{sum(unlike.values())} of {total} differ{said}", "none", unlike)


def _bits(one: Score) -> tuple[Any, ...]:
    return one.status, one.value, one.log
