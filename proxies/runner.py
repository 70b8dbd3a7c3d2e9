"""From proxies asked for to scores: union what they need, run each pass once, hand the results to the formulas."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import InputError
from proxies.base import Need, Proxy, Score
from proxies.passes import PASSES, Pass, Probe
from proxies.passes.base import units
from proxies.registry import get_proxies
from proxies.time_limit import time_limit

log = logging.getLogger(__name__)
DRAWS = 1


def score(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    proxies: Sequence[str] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
    seconds: float | None = None,
) -> dict[str, Score]:
    """Zero-cost proxies of one network on one batch.

    Neither the network (weights, running statistics, gradients, mode) nor the global random state is changed. The same
    network, batch, seed and device give the same scores.

    Args:
        network: takes x, gives logits (N, classes); scored on the device that it is on.
        x: (N, C, T, V, M), or another shape that the network takes, with samples first.
        y: labels, (N,), whole numbers.
        proxies: names; all where None. What they share is computed once.
        seed: for the proxies that draw (meco, meco_opt, zen).
        draws: how many draws zen averages.
        seconds: how long one proxy may take, and a pass for each proxy that it serves, before it fails alone; no limit
            where None, and outside the main thread (see `time_limit`).

    Returns:
        A `Score` by name, in the order asked. A proxy that fails has status `failed`, an error and no value.

    Raises:
        UnknownNameError: no proxy has that name.
        InputError: x, y, seed, draws or seconds are malformed.
    """
    chosen = get_proxies(proxies)
    _check(x, y, seed, draws)
    if seconds is not None and not seconds > 0:
        raise InputError("seconds", seconds, "above 0, or None")
    device = next((p.device for p in network.parameters()), x.device)
    probe = Probe(network, x.detach().to(device), y.detach().to(device).long(), seed, draws)
    scores: dict[str, Score] = {}
    for one_pass in PASSES:
        served = [proxy for proxy in chosen if proxy.info.needs <= one_pass.provides]
        if served:
            scores.update(_run_pass(one_pass, probe, served, seconds))
    return {proxy.info.name: scores[proxy.info.name] for proxy in chosen}


def _check(x: Tensor, y: Tensor, seed: int, draws: int) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2 or len(x) < 1:
        raise InputError("x", getattr(x, "shape", x), "a floating-point tensor with samples first")
    if not isinstance(y, Tensor) or y.is_floating_point() or y.shape != x.shape[:1] or int(y.min()) < 0:
        raise InputError("y", getattr(y, "shape", y), f"{len(x)} whole numbers from 0, one label a sample")
    check_options(seed, draws)


def check_options(seed: int, draws: int) -> None:
    """Raise `InputError` unless `score` takes them."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError("seed", seed, "a whole number from 0 to 2**32 - 1")
    if isinstance(draws, bool) or not isinstance(draws, int) or not 1 <= draws <= 1000:
        raise InputError("draws", draws, "a whole number from 1 to 1000")


def _run_pass(one_pass: Pass, probe: Probe, served: list[Proxy], seconds: float | None) -> dict[str, Score]:
    """One pass and the formulas over it. Where memory runs out, each need is tried alone, in chunks if it may be."""
    needs = frozenset[Need]().union(*(proxy.info.needs for proxy in served))
    started = perf_counter()
    try:
        names = ", ".join(proxy.info.name for proxy in served)
        with time_limit(seconds and seconds * len(served), f"{type(one_pass).__name__} ({names})"):
            measured, chunks = _measured(one_pass, probe, needs)
    except Exception as error:
        share = (perf_counter() - started) / len(served)
        return {proxy.info.name: _failed(error, share) for proxy in served}
    if measured is None and len(needs) > 1:
        return _one_need_at_a_time(one_pass, probe, served, seconds)
    share = (perf_counter() - started) / len(served)
    if measured is None:
        shortage = MemoryError(f"{type(one_pass).__name__} needs more than there is")
        return {proxy.info.name: _failed(shortage, share) for proxy in served}
    note = f"out of memory: the batch was taken in {chunks} chunks, which changes no score" if chunks > 1 else None
    return {proxy.info.name: _computed(proxy, probe, measured, share, note, seconds) for proxy in served}


def _one_need_at_a_time(one_pass: Pass, probe: Probe, served: list[Proxy], seconds: float | None) -> dict[str, Score]:
    scores: dict[str, Score] = {}
    for needs in dict.fromkeys(proxy.info.needs for proxy in served):
        scores |= _run_pass(one_pass, probe, [proxy for proxy in served if proxy.info.needs == needs], seconds)
    return scores


def _measured(one_pass: Pass, probe: Probe, needs: frozenset[Need]) -> tuple[dict[Need, Any] | None, int]:
    """What the pass measured, and in how many chunks; None where it did not fit. A single need may go in chunks."""
    samples = size = len(probe.y)
    measured, chunks = _attempt(one_pass, probe, needs, 1), 1
    while measured is None and one_pass.chunkable and len(needs) == 1 and size > 1:
        size = (size + 1) // 2
        chunks = -(-samples // size)
        measured = _attempt(one_pass, probe, needs, chunks)
    return measured, chunks


def _attempt(one_pass: Pass, probe: Probe, needs: frozenset[Need], chunks: int) -> dict[Need, Any] | None:
    """None where memory ran out. The error, which holds on to the memory, is gone when this returns."""
    try:
        with _reproducible(probe.x.device, probe.seed):
            measured = one_pass.run(probe, needs, chunks)
            if probe.x.device.type == "cuda":
                torch.cuda.synchronize(probe.x.device)  # or its time would be somebody else's
            return measured
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        log.warning("%s in %d chunks ran out of memory: %s", type(one_pass).__name__, chunks, error)
    return None


@contextmanager
def _reproducible(device: torch.device, seed: int) -> Iterator[None]:
    """The same numbers every time: no TF32, deterministic convolutions, random modules such as dropout seeded.

    The global random state is as before afterwards.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type != "cuda":
            yield
            return
        with (
            torch.cuda.device(device),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            torch.cuda.manual_seed(seed)
            yield


def _computed(
    proxy: Proxy, probe: Probe, measured: dict[Need, Any], share: float, note: str | None, seconds: float | None
) -> Score:
    started = perf_counter()
    try:
        with time_limit(seconds, proxy.info.name):
            value, logarithm = proxy.score(measured)
        per_layer = _per_layer(proxy, probe, value if logarithm is None else logarithm)
    except Exception as error:
        return _failed(error, share + perf_counter() - started)
    return Score(value, logarithm, "ok", share + perf_counter() - started, note=note, per_layer=per_layer)


def _per_layer(proxy: Proxy, probe: Probe, feature: float | None) -> float | None:
    depth = len(units(probe.network))
    return feature / depth if feature is not None and depth and proxy.info.additive else None


def _failed(error: Exception, seconds: float) -> Score:
    if not isinstance(error, ArithmeticError):
        log.warning("a proxy failed", exc_info=error)
    kind = "out of memory" if is_out_of_memory(error) else type(error).__name__
    return Score(None, None, "failed", seconds, error=f"{kind}: {str(error).splitlines()[0] if str(error) else kind}")


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; PyTorch's CPU allocator has no error class of its own."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    )
