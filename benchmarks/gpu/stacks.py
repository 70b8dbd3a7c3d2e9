"""Several architectures in one pass: agreement with one after the other, and architectures per second."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import torch

from benchmarks.gpu import memory
from benchmarks.gpu.agreement import DEPTHS, STATED, difference, tolerance
from benchmarks.gpu.checks import Check, Options, at_least, at_most, holds, skipped, stated
from benchmarks.gpu.mps import mps
from benchmarks.speed.scoring import architecture
from common.processes import exit_with_parent
from models import get_space
from models.gcn_nas import GcnNasArchitecture
from models.gcn_nas.batches import synthetic_batch
from proxies import score_batch
from proxies.stacked import MAX_STACK, score_stack

FEW, MANY = 4, 16
"""Processes that share the GPU."""
GAIN = 10.0
"""Target of architectures per second, in architectures per second of one process that takes one at a time."""


def run(options: Options) -> Iterator[Check]:
    """Compare stacks with single networks, and measure rates with processes that share the GPU with and without MPS."""
    depths, number = (DEPTHS[:1], 2) if options.small else (DEPTHS, MAX_STACK)
    yield from _agreement(options, depths[:: max(1, len(depths) - 1)], min(number, 8))
    yield _memory(options, depths[-1], number)
    alone = [[arch] for depth in depths for arch in _architectures(depth, 2)]
    stacks = [_architectures(depth, number) for depth in depths]
    before = _rate(options, 1, alone)
    yield _stated_rate("1 process, one at a time", before)
    rates = []
    for processes in (1,) if options.small else (1, FEW):
        rates.append(_rate(options, processes, stacks))
        yield _stated_rate(f"{processes} processes, {number} at a time", rates[-1])
    with mps(options.device) as reason:
        if reason:
            yield skipped("processes that share the GPU by MPS", reason)
        else:
            for processes in (FEW, MANY):
                rates.append(_rate(options, processes, stacks))
                yield _stated_rate(f"{processes} processes by MPS, {number} at a time", rates[-1])
    yield at_least("at best, over one at a time", max(rates) / before, GAIN, " times", options.timed)


def _stated_rate(name: str, rate: float) -> Check:
    return stated(name, f"{rate:.3g} architectures per second", rate)


def _architectures(depth: int, number: int) -> list[GcnNasArchitecture]:
    return [architecture(depth, i) for i in range(number)]


def _agreement(options: Options, depths: Sequence[int], number: int) -> Iterator[Check]:
    space, worst = get_space("gcn-nas"), dict[str, float]()
    batch = synthetic_batch(space.task, batch_size=4, frames=8)
    for depth in depths:
        archs = _architectures(depth, number)
        stack = space.build_stack(archs).to(options.device)
        shared = all(
            any(parameter is other for other in stack.network.parameters())
            for network in stack.networks[:1]
            for parameter in network.parameters()
        )
        yield holds(f"{depth} layers, networks share the parameters of the stack", shared, str(shared), "True")
        together, again = (score_stack(stack, batch) for _ in range(2))
        same = all(a[name].value == b[name].value for a, b in zip(together, again, strict=True) for name in a)
        yield holds(f"{depth} layers, repeated", same, "identical" if same else "different", "identical bits")
        for arch, scores in zip(archs, together, strict=True):
            single = score_batch(space.build(arch).to(options.device), batch)
            for name, result in scores.items():
                worst[name] = max(worst.get(name, 0.0), difference(single[name], result))
    for name, largest in worst.items():
        what = f"{name}, difference of {number} in one pass from one by one"
        yield stated(what, f"{largest:.2g}") if name in STATED else at_most(what, largest, tolerance(name))


def _memory(options: Options, depth: int, number: int) -> Check:
    space = get_space("gcn-nas")
    batch = synthetic_batch(space.task, batch_size=4, frames=8)
    stack = space.build_stack(_architectures(depth, number)).to(options.device)
    peak = memory.peak(lambda: score_stack(stack, batch), options.device)
    text = f"{peak / 2**30:.2g} GiB, {peak / number / batch.x.numel() / 2**10:.3g} KiB for each number of a batch"
    return stated(f"peak memory of {number} networks of {depth} layers", text, peak)


@dataclass
class _Process:
    """State of a scoring process."""

    device = "cpu"


def _start(device: str) -> None:
    exit_with_parent()
    torch.set_num_threads(1)
    _Process.device = device


def _score(written: Sequence[str]) -> int:
    """Build and score architectures, several in one pass; return the number of scores that are not ok."""
    space = get_space("gcn-nas")
    batch = synthetic_batch(space.task, batch_size=4, frames=8)
    archs = [space.parse(json.loads(text)) for text in written]
    if len(archs) == 1:
        scores = [score_batch(space.build(archs[0]).to(_Process.device), batch)]
    else:
        scores = score_stack(space.build_stack(archs).to(_Process.device), batch)
    return sum(result.status != "ok" for row in scores for result in row.values())


def _rate(options: Options, processes: int, groups: Sequence[Sequence[GcnNasArchitecture]]) -> float:
    """Return architectures per second of several processes, each of which has scored the last group before."""
    space: Any = get_space("gcn-nas")
    written = [[json.dumps(space.to_json(arch)) for arch in group] for group in groups]
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (options.device,)) as pool:
        list(pool.map(_score, written[-1:] * processes))
        rounds = max(1, 2 * processes // len(written))
        started = perf_counter()
        failed = sum(pool.map(_score, written * rounds))
        seconds = perf_counter() - started
    if failed:
        raise RuntimeError(f"{failed} scores are not ok")
    return rounds * sum(map(len, groups)) / seconds
