"""From proxies asked for to scores: union what they need, run each pass once, hand the results to the formulas."""

import logging
import math
import numbers
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from common.errors import InputError, check_seed
from proxies.base import Need, Proxy, Score
from proxies.passes import EXACT, PASSES, Pass, ProxyInput, needs_shown
from proxies.passes.base import is_out_of_memory
from proxies.registry import get_proxies
from proxies.time_limit import time_limit

log = logging.getLogger(__name__)
DEFAULT_REPEATS = 1
IN_CHUNKS = "out of memory: the batch was taken in {} chunks, which changes no score"
BY_EXACT_ENGINE = "measured by the exact engine: the fast one is not shown to be right for this network"
_random_state = threading.RLock()


def score(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    proxies: Sequence[str] | None = None,
    seed: int = 0,
    repeats: int = DEFAULT_REPEATS,
    timeout: float | None = None,
) -> dict[str, Score]:
    """Zero-cost proxies of one network on one batch.

    Neither the network (weights, running statistics, gradients, mode) nor the batch nor the global random state is
    changed. The same network, batch, seed and device give the same scores, also under `no_grad`, `inference_mode` and
    `autocast`, and from several threads (which take turns).

    Args:
        network: takes x, gives logits (N, classes); scored on the device that it is on.
        x: (N, C, T, V, M), or another shape that the network takes, with samples first.
        y: labels, (N,), whole numbers.
        proxies: names; all where None. What they share is computed once.
        seed: for the proxies that draw (meco, meco_opt, zen), and for networks that do.
        repeats: number of random draws that zen averages.
        timeout: seconds that one proxy may take, and a pass for each proxy that it serves, before it fails alone; no
            limit where None, and outside the main thread (see `time_limit`).

    Returns:
        A `Score` by name, in the order asked. A proxy that fails has status `failed`, an error and no value.

    Raises:
        UnknownNameError: no proxy has that name.
        InputError: network, x, y, seed, repeats or timeout is malformed.
    """
    chosen = get_proxies(proxies)
    _check(network, x, y, timeout)
    check_options(seed, repeats)
    device = next((p.device for p in network.parameters()), x.device)
    with _own_settings(device):
        x, y = (tensor.detach().to(device) for tensor in (x, y))
        x, y = (tensor.clone() if tensor.is_inference() else tensor for tensor in (x, y.long()))
        probe = ProxyInput(network, x, y, int(seed), int(repeats))
        scores: dict[str, Score] = {}
        for one_pass in PASSES:
            served = [proxy for proxy in chosen if proxy.info.needs <= one_pass.provides]
            if served:
                scores |= _run_pass(one_pass, probe, served, timeout)
    return {proxy.info.name: scores[proxy.info.name] for proxy in chosen}


def _check(network: Any, x: Any, y: Any, timeout: Any) -> None:
    if not isinstance(network, nn.Module):
        raise InputError("network", network, "a torch.nn.Module")
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise InputError("network", type(network).__name__, "a network without lazy parameters: run it once before")
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
        raise InputError("network", type(network).__name__, "a network with numbers, not on the device meta")
    if not _is_plain(x) or not x.is_floating_point() or x.ndim < 2 or len(x) < 1:
        raise InputError("x", _described(x), "a floating-point tensor with samples first")
    whole = _is_plain(y) and not y.is_floating_point() and not y.is_complex()
    if not whole or y.shape != x.shape[:1] or int(y.min()) < 0:
        raise InputError("y", _described(y), f"{len(x)} whole numbers from 0, one label a sample")
    if timeout is not None and not (_is_real(timeout) and timeout > 0):
        raise InputError("timeout", timeout, "a number of seconds above 0, or None")


def _is_plain(tensor: Any) -> bool:
    return isinstance(tensor, Tensor) and not tensor.is_meta and tensor.layout == torch.strided


def _described(value: Any) -> Any:
    return f"{value.dtype} of shape {tuple(value.shape)} on {value.device}" if isinstance(value, Tensor) else value


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and not math.isnan(value)


def check_options(seed: int, repeats: int) -> None:
    """Raise `InputError` unless `score` takes them."""
    check_seed(int(seed) if isinstance(seed, numbers.Integral) and not isinstance(seed, bool) else seed)
    if isinstance(repeats, bool) or not isinstance(repeats, numbers.Integral) or not 1 <= repeats <= 1000:
        raise InputError("repeats", repeats, "a whole number from 1 to 1000")


@contextmanager
def _own_settings(device: torch.device) -> Iterator[None]:
    """Gradients on and automatic precision off, whatever the caller has."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {"cpu", device.type}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def _run_pass(one_pass: Pass, probe: ProxyInput, served: Sequence[Proxy], timeout: float | None) -> dict[str, Score]:
    """One pass and the formulas over it; the exact engine takes the needs that the pass is not shown to be right for.

    Where memory runs out, each need is tried alone, in chunks if it may be.
    """
    needs = frozenset[Need]().union(*(proxy.info.needs for proxy in served))
    measured: dict[Need, Any] = {}
    right, chunks, failure = needs, 1, None
    started = perf_counter()
    try:
        names = ", ".join(proxy.info.name for proxy in served)
        with time_limit(timeout and timeout * len(served), f"{type(one_pass).__name__} ({names})"):
            with _reproducible(probe.x.device, probe.seed):
                right = needs_shown(one_pass, probe, needs)
            chunks = _measure(one_pass, probe, right, measured) if right else 1
    except Exception as error:
        failure = error
    if chunks == 0 and len(right) > 1:
        return _one_need_at_a_time(one_pass, probe, served, timeout)
    if chunks == 0:
        failure = MemoryError(f"{type(one_pass).__name__} needs more than there is")
    share = (perf_counter() - started) / len(served)
    measured = {need: measured.get(need, failure) for need in right}
    note = IN_CHUNKS.format(chunks) if chunks > 1 else None
    scores = {
        proxy.info.name: _computed(proxy, probe, measured, share, note, timeout)
        for proxy in served
        if proxy.info.needs <= right
    }
    others = [proxy for proxy in served if not proxy.info.needs <= right]
    for name, found in _one_need_at_a_time(EXACT, probe, others, timeout).items():
        note = BY_EXACT_ENGINE if found.status == "ok" else None
        scores[name] = replace(found, seconds=found.seconds + share, note=note)
    return scores


def _one_need_at_a_time(
    one_pass: Pass, probe: ProxyInput, served: Sequence[Proxy], timeout: float | None
) -> dict[str, Score]:
    scores: dict[str, Score] = {}
    for needs in dict.fromkeys(proxy.info.needs for proxy in served):
        scores |= _run_pass(one_pass, probe, [proxy for proxy in served if proxy.info.needs == needs], timeout)
    return scores


def _measure(one_pass: Pass, probe: ProxyInput, needs: frozenset[Need], measured: dict[Need, Any]) -> int:
    """Fill `measured`. Returns in how many chunks, 0 where it did not fit. A single need may go in chunks."""
    samples = size = len(probe.y)
    chunks = 1
    while not _fits(one_pass, probe, needs, chunks, measured):
        if not one_pass.chunkable or len(needs) > 1 or size == 1:
            return 0
        size = (size + 1) // 2
        chunks = -(-samples // size)
    return chunks


def _fits(one_pass: Pass, probe: ProxyInput, needs: frozenset[Need], chunks: int, measured: dict[Need, Any]) -> bool:
    """Fill `measured`; False where memory ran out. The errors, which hold on to the memory, are then gone."""
    try:
        with _reproducible(probe.x.device, probe.seed):
            measured.update(one_pass.run(probe, needs, chunks))
            if probe.x.device.type == "cuda":
                torch.cuda.synchronize(probe.x.device)  # or its time would be somebody else's
        for result in measured.values():
            if isinstance(result, Exception) and is_out_of_memory(result):
                raise result
        return True
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        log.warning(
            "%s in %d chunks ran out of memory: %s", type(one_pass).__name__, chunks, str(error)
        )  # no traceback
    measured.clear()
    return False


@contextmanager
def _reproducible(device: torch.device, seed: int) -> Iterator[None]:
    """The same numbers every time: no TF32, deterministic convolutions, random modules such as dropout seeded.

    The global random state and PyTorch's settings are as before afterwards; one thread at a time has them.
    """
    cuda = [device] if device.type == "cuda" else []
    with _random_state, torch.random.fork_rng(cuda), _seeded_python(seed):
        torch.default_generator.manual_seed(seed)
        if device.type != "cuda":
            yield
            return
        with torch.cuda.device(device), _full_precision():
            torch.cuda.manual_seed(seed)
            yield


@contextmanager
def _seeded_python(seed: int) -> Iterator[None]:
    """Python's and NumPy's global generators, which networks that skip layers at random draw from."""
    python, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpys)  # noqa: NPY002


@contextmanager
def _full_precision() -> Iterator[None]:
    """Convolutions and matrix products on a GPU in float32 throughout, convolutions by a deterministic algorithm."""
    before = _precision()
    try:
        older: str | None = torch.get_float32_matmul_precision()
    except RuntimeError:  # the caller uses the newer setting, which the older one cannot express
        older = None
    try:
        if older is not None:
            torch.set_float32_matmul_precision("highest")
        _set_precision("ieee", "ieee", True, False)
        yield
    finally:
        if older is not None:
            torch.set_float32_matmul_precision(older)
        _set_precision(*before)


def _precision() -> tuple[str, str, bool, bool]:
    cudnn: Any = torch.backends.cudnn
    products = torch.backends.cuda.matmul
    return cudnn.conv.fp32_precision, products.fp32_precision, cudnn.deterministic, cudnn.benchmark


def _set_precision(convolutions: str, products: str, deterministic: bool, benchmark: bool) -> None:
    cudnn: Any = torch.backends.cudnn
    cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision = convolutions, products
    cudnn.deterministic, cudnn.benchmark = deterministic, benchmark


def _computed(
    proxy: Proxy, probe: ProxyInput, measured: dict[Need, Any], share: float, note: str | None, timeout: float | None
) -> Score:
    """The formula; a need that could not be measured is the exception that says why."""
    started = perf_counter()
    try:
        for need in proxy.info.needs:
            if isinstance(measured[need], Exception):
                raise measured[need]
        with time_limit(timeout, proxy.info.name):
            value, logarithm = proxy.score(measured)
    except Exception as error:
        return _failed(error, share + perf_counter() - started)
    return Score(value, logarithm, "ok", share + perf_counter() - started, note=note)


def _failed(error: Exception, seconds: float) -> Score:
    if not isinstance(error, ArithmeticError):
        log.warning("a proxy failed", exc_info=error)
    kind = "out of memory" if is_out_of_memory(error) else type(error).__name__
    return Score(None, None, "failed", seconds, error=f"{kind}: {str(error).splitlines()[0] if str(error) else kind}")
