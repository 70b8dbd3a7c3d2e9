"""Scoring of several networks of one stratum in one pass."""

import logging
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

import torch

from common.errors import InputError
from models.base import ArchT, BuildableSpace, EncodedSpace
from models.stack import NetworkStack, StackableSpace
from models.task import ProbeBatch
from proxies.base import Need, Proxy, Score
from proxies.passes import PASSES, Pass, ProxyInput
from proxies.passes.batch import checked_batch, plain_batch
from proxies.passes.stack import StackInput
from proxies.registry import get_proxies
from proxies.runner import (
    DEFAULT_REPEATS,
    check_options,
    compute_score,
    default_modes,
    measuring,
    read_scores,
    reproducible,
    run_pass,
    score_batch,
)
from proxies.time_limit import time_limit

log = logging.getLogger(__name__)
Scores = dict[str, Score]
MAX_STACK = 32
"""Networks of a stack: more gain little, and are lost together if the process ends."""
BYTES_PER_NUMBER = 2**18
"""Memory of a pass for each number of the batch and network; `gcn-nas` of ten layers takes up to 150 kB."""


def by_stratum(space: EncodedSpace[ArchT], archs: Sequence[ArchT], size: int) -> Iterator[list[ArchT]]:
    """Yield architectures of one stratum at a time, at most `size` together."""
    strata: dict[int, list[ArchT]] = {}
    for stratum, arch in zip(space.strata(archs).tolist(), archs, strict=True):
        strata.setdefault(stratum, []).append(arch)
    for of_stratum in strata.values():
        yield from (of_stratum[i : i + size] for i in range(0, len(of_stratum), size))


def score_architectures(
    space: BuildableSpace[ArchT],
    archs: Sequence[ArchT],
    batch: ProbeBatch,
    proxies: Sequence[str] | None = None,
    seed: int = 0,
    repeats: int = DEFAULT_REPEATS,
    timeout: float | None = None,
    device: torch.device | str = "cpu",
    processes: int = 1,
) -> list[Scores]:
    """Build architectures and compute their zero-cost proxies, several together where that pays (`stack_size`).

    Args:
        space: search space.
        archs: architectures, of one stratum where the space is a `StackableSpace`.
        batch: probe batch.
        proxies: names of the proxies; the default ones if None.
        seed: seed of the initial weights and of the proxies that sample.
        repeats: number of random draws that zen averages.
        timeout: see `score_stack`.
        device: device of the networks.
        processes: number of processes that share the device.

    Returns:
        Scores by name for each architecture, in order.
    """
    size = min(len(archs), stack_size(batch, torch.device(device), processes))
    if size < 2 or not isinstance(space, StackableSpace):
        networks = (space.build(arch, seed).to(device) for arch in archs)
        return [score_batch(network, batch, proxies, seed, repeats, timeout) for network in networks]
    stacks = (space.build_stack(archs[i : i + size], seed).to(device) for i in range(0, len(archs), size))
    return [scores for stack in stacks for scores in score_stack(stack, batch, proxies, seed, repeats, timeout)]


def stack_size(batch: ProbeBatch, device: torch.device, processes: int = 1) -> int:
    """Return the number of architectures to score together: as many as the process's share of a GPU holds; 1 on a CPU.

    Processes share half of the GPU's memory.
    """
    if device.type != "cuda":
        return 1
    _, memory = torch.cuda.mem_get_info(device)
    return max(1, min(MAX_STACK, memory // 2 // processes // (BYTES_PER_NUMBER * batch.x.numel())))


def score_stack(
    stack: NetworkStack,
    batch: ProbeBatch,
    proxies: Sequence[str] | None = None,
    seed: int = 0,
    repeats: int = DEFAULT_REPEATS,
    timeout: float | None = None,
) -> list[Scores]:
    """Compute zero-cost proxies of several networks on a probe batch, as `score_batch` does of each, but for rounding.

    Networks share every pass that can take several of them, so that K networks cost little more calls of kernels than
    one: a GPU waits for calls most of the time. What fails for all, for lack of memory or by one network's fault, is
    measured alone, so that no network has another's failure; as is zen, whose weights differ from network to network.

    Args:
        stack: networks on one device, and the network that runs all of them.
        batch: independent samples.
        proxies: names of the proxies; the default ones if None.
        seed: of the proxies that sample.
        repeats: number of random draws that zen averages.
        timeout: time limit in seconds of each formula, and of a pass for every proxy of every network that it serves;
            None for no limit.

    Returns:
        Scores by name for each network, in order.

    Raises:
        UnknownNameError: no proxy has such a name.
        InputError: batch, seed or repeats is malformed, or the samples are not independent.
    """
    chosen = get_proxies(proxies)
    check_options(seed, repeats)
    if batch.sample_axis is None:
        raise InputError("batch", batch.source, "independent samples: rows of one graph cannot be stacked")
    checked = checked_batch(batch.inputs, batch.targets, batch.rows, batch.sample_axis)
    device = next(stack.network.parameters()).device
    with default_modes(device):
        plain = plain_batch(checked).to(device)
        members = tuple(ProxyInput(network, plain, int(seed), int(repeats)) for network in stack.networks)
        inputs = StackInput(stack.network, members)
        scores: list[Scores] = [{} for _ in members]
        measured = measuring(chosen)
        for shared_pass in PASSES:
            served = [proxy for proxy in measured if proxy.info.needs <= shared_pass.provides]
            for of_network, more in zip(scores, _run_pass(shared_pass, inputs, served, timeout), strict=True):
                of_network |= more
    for of_network in scores:
        of_network |= read_scores(chosen, of_network, timeout)
    return [{proxy.info.name: of_network[proxy.info.name] for proxy in chosen} for of_network in scores]


def _run_pass(shared_pass: Pass, inputs: StackInput, proxies: Sequence[Proxy], timeout: float | None) -> list[Scores]:
    """Run one pass, for all networks where it can, and the formulas over it; alone what has no score then."""
    stacked = [proxy for proxy in proxies if _is_stackable(shared_pass, inputs, proxy)]
    scores = _run_stacked(shared_pass, inputs, stacked, timeout) if stacked else [{} for _ in inputs.members]
    for member, of_network in zip(inputs.members, scores, strict=True):
        alone = [proxy for proxy in proxies if proxy.info.name not in of_network]
        if alone:
            of_network |= run_pass(shared_pass, member, alone, timeout)
    return scores


def _is_stackable(shared_pass: Pass, inputs: StackInput, proxy: Proxy) -> bool:
    needs = proxy.info.needs
    return needs <= shared_pass.stackable and not any(shared_pass.lacking(inputs.together, need) for need in needs)


def _run_stacked(
    shared_pass: Pass, inputs: StackInput, proxies: Sequence[Proxy], timeout: float | None
) -> list[Scores]:
    """Return the scores that could be computed together: none where one network's failure is that of the pass."""
    started = perf_counter()
    try:
        measured = _measured(shared_pass, inputs, proxies, timeout)
    except Exception as error:
        log.warning("%s of %d networks failed, which run alone: %s", type(shared_pass).__name__, inputs.number, error)
        return [{} for _ in inputs.members]
    share = (perf_counter() - started) / len(proxies) / inputs.number
    return [_computed(proxies, values, share, timeout) for values in measured]


def _measured(
    shared_pass: Pass, inputs: StackInput, proxies: Sequence[Proxy], timeout: float | None
) -> list[dict[Need, Any]]:
    """Run a pass, and return its measurements by network."""
    needs = frozenset[Need]().union(*(proxy.info.needs for proxy in proxies))
    limit = timeout and timeout * len(proxies) * inputs.number
    with time_limit(limit, f"{type(shared_pass).__name__} of {inputs.number} networks"), reproducible(inputs.together):
        measured = dict(shared_pass.run_stack(inputs, needs))
        if inputs.together.x.is_cuda:
            torch.cuda.synchronize(inputs.together.x.device)
    return [{need: values[k] for need, values in measured.items()} for k in range(inputs.number)]


def _computed(proxies: Sequence[Proxy], measured: dict[Need, Any], share: float, timeout: float | None) -> Scores:
    """Apply the formulas, and return the scores that are ok."""
    scores = {proxy.info.name: compute_score(proxy, measured, share, None, timeout) for proxy in proxies}
    return {name: result for name, result in scores.items() if result.status == "ok"}
