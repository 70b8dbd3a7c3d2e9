"""Agreement of every proxy between CPU and GPU, and between repeated runs on the GPU."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.gpu.backend import backend, outcomes, task
from benchmarks.gpu.checks import Check, Options, at_most, holds, stated
from benchmarks.speed.scoring import architecture
from models import Architecture, ProbeBatch, get_space
from models.gcn_nas.batches import synthetic_batch
from proxies import Score, proxy_names, score

TOLERANCE = 1e-3
"""Largest relative difference between the devices."""
TOLERANCES = {"zico": 5e-3}
"""Larger tolerances by proxy: zico divides by the smallest differences of two gradients, so that one CPU thread and two
differ by up to 0.5 %."""
STATED = ("epe_nas", "grad_sign")
"""Proxies without a target: epe_nas divides by tiny differences, and grad_sign counts signs of tiny gradients, so that
rounding shows on any device."""
DEPTHS = (4, 6, 8, 10)
Scores = Mapping[str, Score]


def run(options: Options) -> Iterator[Check]:
    """Compare devices, rounding, and repeated runs in the same process and in another."""
    space = get_space("gcn-nas")
    batch = synthetic_batch(space.task, batch_size=4, frames=4 if options.small else 8)
    depths = DEPTHS[::3] if options.small else DEPTHS
    first = range(1 if options.small else len(DEPTHS))
    chosen = [architecture(depth, number) for number in range(1 if options.small else 3) for depth in depths]
    on_device = [_scores(arch, batch, options.device) for arch in chosen]
    again = [_scores(arch, batch, options.device) for arch in chosen]
    yield repeats("bit-equal repeats in a process", on_device, again)
    with backend(options, batch, processes=1) as scoring:
        rows = [
            outcome.scores or {} for outcome in outcomes(scoring, (task(chosen[i], proxy_names()) for i in first), 1)
        ]
    in_process: list[Scores] = [{name: Score(**fields) for name, fields in row.items()} for row in rows]
    yield repeats("bit-equal repeats in another process", [on_device[i] for i in first], in_process)
    reference = [_scores(arch, batch, "cpu") for arch in chosen]
    exact = [_scores(chosen[i], batch, "cpu", double=True) for i in first]
    yield from agreement(reference, on_device, exact)


def _scores(arch: Architecture, batch: ProbeBatch, device: str, double: bool = False) -> Scores:
    space: Any = get_space(arch.space)
    network, x = space.build(arch).to(device), batch.x
    if double:
        network, x = network.double(), x.double()
    return score(network, x, batch.y, proxy_names())


def agreement(reference: Sequence[Scores], on_device: Sequence[Scores], exact: Sequence[Scores]) -> Iterator[Check]:
    """Check the largest relative difference from the reference for each proxy.

    Args:
        reference: scores on the CPU, by architecture.
        on_device: scores on the GPU of the same architectures.
        exact: scores on the CPU in float64 of the first architectures; their differences from the reference are due to
            rounding alone.
    """
    for name in proxy_names():
        failures = [row[name].error for rows in (reference, on_device) for row in rows if row[name].status != "ok"]
        if failures:
            yield holds(name, False, f"{len(failures)} failed: {failures[0]}", "ok")
            continue
        differences = [difference(a[name], b[name]) for a, b in zip(reference, on_device, strict=True)]
        rounding = max((difference(a[name], b[name]) for a, b in zip(exact, reference, strict=False)), default=0.0)
        data: dict[str, Any] = {"largest": max(differences), "each": differences, "cpu_float32_to_float64": rounding}
        text = f"of float32 on the CPU: {rounding:.2g}"
        if name in STATED:
            yield stated(f"{name}, relative difference", f"{max(differences):.2g}; {text}", data)
        else:
            check = at_most(f"{name}, relative difference", max(differences), tolerance(name), data=data)
            yield replace(check, value=f"{max(differences):.2g}; {text}")


def tolerance(name: str) -> float:
    """Return the largest relative difference that is allowed for a proxy."""
    return TOLERANCES.get(name, TOLERANCE)


def difference(reference: Score, other: Score) -> float:
    """Return the relative difference of two values, by their logarithms if present; infinite if one failed."""
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


def repeats(name: str, first: Sequence[Scores], second: Sequence[Scores]) -> Check:
    """Check two runs for bit-equality, for every proxy of every architecture."""
    different: dict[str, int] = {}
    for a, b in zip(first, second, strict=True):
        for proxy in a.keys() | b.keys():
            if proxy not in a or proxy not in b or _bits(a[proxy]) != _bits(b[proxy]):
                different[proxy] = different.get(proxy, 0) + 1
    total = sum(map(len, first))
    counts = "".join(f", {proxy} {count}×" for proxy, count in sorted(different.items()))
    text = f"{sum(different.values())} of {total} differ{counts}"
    return holds(name, total > 0 and not different, text, "none", different)


def _bits(result: Score) -> tuple[Any, ...]:
    return result.status, result.value, result.log
