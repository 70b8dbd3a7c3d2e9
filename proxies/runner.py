"""Scoring of a network: the union of the proxies' needs, one run of each pass, and the formulas."""

import logging
import math
import numbers
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from itertools import chain
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from common.errors import InputError, check_seed
from models.task import ProbeBatch
from proxies.base import Measured, Need, NotApplicableError, Proxy, Score
from proxies.passes import EXACT_PASS, PASSES, Pass, ProxyInput, verified_needs
from proxies.passes.base import is_out_of_memory
from proxies.passes.batch import checked_batch, plain_batch
from proxies.passes.functions import WithoutDropout
from proxies.registry import get_proxies
from proxies.time_limit import time_limit

log = logging.getLogger(__name__)
DEFAULT_REPEATS = 1
CHUNKED_NOTE = "out of memory: the batch was taken in {} chunks, which changes no score"
EXACT_ENGINE_NOTE = "measured by the exact engine: the fast one is not verified for this network"
_rng_lock = threading.RLock()


def score(
    network: nn.Module,
    x: Tensor | tuple[Tensor, ...],
    y: Tensor,
    proxies: Sequence[str] | None = None,
    seed: int = 0,
    repeats: int = DEFAULT_REPEATS,
    timeout: float | None = None,
    *,
    rows: Tensor | None = None,
    sample_axis: int | None = 0,
) -> dict[str, Score]:
    """Compute zero-cost proxies of one network on one batch.

    The network (weights, running statistics, gradients, mode), the batch and the global random state stay unchanged.
    The same network, batch, seed and device give the same scores, also under `no_grad`, `inference_mode` and
    `autocast`, and from several threads (which take turns).

    Args:
        network: maps x to logits (rows, outputs); scored on its device, with batch norm in training and no dropout.
        x: the network's argument, or a tuple of all of them. The first holds the data, floating point with rows first,
            which gradients and perturbations refer to.
        y: one class a row, whole numbers (labelled rows,); or several labels a row, floating point from 0 to 1
            (labelled rows, outputs), with binary cross entropy as loss.
        proxies: names; the default ones where None. Shared computations run once.
        seed: of the proxies that sample (meco, meco_opt, swap, trainability, vkdnw, zen), and of random modules.
        repeats: number of random draws that zen averages.
        timeout: time limit in seconds of each formula, and of each pass for every proxy that it serves; a proxy that
            exceeds it fails alone. None for no limit; no limit either outside the main thread (see `time_limit`).
        rows: indices of the output's rows that y belongs to; None for all in order. Independent samples without a
            label are left out.
        sample_axis: 0 for independent samples along the first dimension of every argument and of the output; None for
            rows that exchange messages, as the nodes of one graph do, so that the batch cannot be divided.

    Returns:
        A `Score` by name, in the order of `proxies`. A proxy that fails has status `failed`, an error and no value; one
        that network or task lacks something for has status `not_applicable`, the reason as `note` and no value.

    Raises:
        UnknownNameError: no proxy has such a name.
        InputError: network, x, y, rows, sample_axis, seed, repeats or timeout is malformed.

    Example:
        >>> from models import get_space
        >>> from proxies import score
        >>> space = get_space("gcn-nas")
        >>> network = space.build(space.parse([["L2", "S"], ["L", "T"], ["L3", "ST"], ["L4n"]]), seed=0)
        >>> batch = space.task.synthetic_batch(batch_size=4, frames=8)
        >>> scores = score(network, batch.x, batch.y, proxies=["params", "zen"])
        >>> scores["params"].value
        2400948.0
        >>> round(scores["zen"].value, 1)
        26.2
    """
    chosen = get_proxies(proxies)
    _check_network(network, timeout)
    batch = checked_batch(x, y, rows, sample_axis)
    check_options(seed, repeats)
    device = next((p.device for p in network.parameters()), batch.x.device)
    with default_modes(device):
        inputs = ProxyInput(network, plain_batch(batch).to(device), int(seed), int(repeats))
        scores: dict[str, Score] = {}
        measured = measuring(chosen)
        for shared_pass in PASSES:
            served = [proxy for proxy in measured if proxy.info.needs <= shared_pass.provides]
            if served:
                scores |= run_pass(shared_pass, inputs, served, timeout)
    scores |= read_scores(chosen, scores, timeout)
    return {proxy.info.name: scores[proxy.info.name] for proxy in chosen}


def score_batch(
    network: nn.Module,
    batch: ProbeBatch,
    proxies: Sequence[str] | None = None,
    seed: int = 0,
    repeats: int = DEFAULT_REPEATS,
    timeout: float | None = None,
) -> dict[str, Score]:
    """Compute zero-cost proxies of one network on a probe batch of its task, as `score` does."""
    inputs, y, rows, axis = batch.inputs, batch.targets, batch.rows, batch.sample_axis
    return score(network, inputs, y, proxies, seed, repeats, timeout, rows=rows, sample_axis=axis)


def measure(network: nn.Module, batch: ProbeBatch, need: Need, seed: int = 0) -> Any:
    """Make one measurement of a network on a probe batch of its task, as its pass documents it.

    Raises:
        Exception: the reason why it cannot be made.
    """
    checked = plain_batch(checked_batch(batch.inputs, batch.targets, batch.rows, batch.sample_axis))
    inputs = ProxyInput(network, checked, seed)
    shared_pass = next(each for each in PASSES if need in each.provides)
    if (reason := shared_pass.lacking(inputs, need)) is not None:
        raise reason
    with default_modes(inputs.x.device), reproducible(inputs):
        is_verified = need in verified_needs(shared_pass, inputs, frozenset({need}))
    with default_modes(inputs.x.device), reproducible(inputs):
        value = dict((shared_pass if is_verified else EXACT_PASS).run(inputs, frozenset({need}), 1))[need]
    if isinstance(value, Exception):
        raise value
    return value


def _check_network(network: Any, timeout: Any) -> None:
    if not isinstance(network, nn.Module):
        raise InputError("network", network, "a torch.nn.Module")
    if any(is_lazy(parameter) for parameter in network.parameters()):
        raise InputError("network", type(network).__name__, "a network without lazy parameters: run it once before")
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
        raise InputError("network", type(network).__name__, "a network with numbers, not on the device meta")
    if timeout is not None and not (_is_real(timeout) and timeout > 0):
        raise InputError("timeout", timeout, "a number of seconds above 0, or None")


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and not math.isnan(value)


def check_options(seed: int, repeats: int) -> None:
    """Check a seed and repeats.

    Raises:
        InputError: one of them is out of range.
    """
    check_seed(int(seed) if isinstance(seed, numbers.Integral) and not isinstance(seed, bool) else seed)
    if isinstance(repeats, bool) or not isinstance(repeats, numbers.Integral) or not 1 <= repeats <= 1000:
        raise InputError("repeats", repeats, "a whole number from 1 to 1000")


@contextmanager
def default_modes(device: torch.device) -> Iterator[None]:
    """Enable gradients and disable autocast, whatever the caller's modes."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {"cpu", device.type}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def measuring(chosen: Sequence[Proxy]) -> list[Proxy]:
    """Return the proxies that read measurements, each once: those chosen, and those that others read."""
    proxies = chain.from_iterable(proxy.reads or (proxy,) for proxy in chosen)
    return list({proxy.info.name: proxy for proxy in proxies}.values())


def read_scores(chosen: Sequence[Proxy], scores: dict[str, Score], timeout: float | None) -> dict[str, Score]:
    """Apply the formulas that read scores. A score that was not asked for counts as time of those that read it."""
    reading = [proxy for proxy in chosen if proxy.reads]
    asked = {proxy.info.name for proxy in chosen}
    readers = Counter(read.info.name for proxy in reading for read in proxy.reads)
    results = {}
    for proxy in reading:
        names = [read.info.name for read in proxy.reads]
        seconds = sum(scores[name].seconds / readers[name] for name in names if name not in asked)
        results[proxy.info.name] = _read_score(proxy, {name: scores[name] for name in names}, seconds, timeout)
    return results


def _read_score(proxy: Proxy, read: dict[str, Score], seconds: float, timeout: float | None) -> Score:
    """Apply a formula to scores; one that failed or is not applicable is the reason of its own."""
    for name, result in read.items():
        if result.status == "failed":
            return Score(None, None, "failed", seconds, error=f"{name}: {result.error}")
        if result.status == "not_applicable":
            return Score(None, None, "not_applicable", seconds, note=f"{name}: {result.note}")
    notes = dict.fromkeys(result.note for result in read.values() if result.note)
    features = {name: result.feature for name, result in read.items()}
    return compute_score(proxy, features, seconds, "; ".join(notes) or None, timeout)


def run_pass(
    shared_pass: Pass, inputs: ProxyInput, proxies: Sequence[Proxy], timeout: float | None
) -> dict[str, Score]:
    """Run one pass and the formulas over it; the exact pass measures the needs that this pass is not verified for.

    Where memory runs out, each need is measured alone, in chunks if the pass allows it.
    """
    asked = frozenset[Need]().union(*(proxy.info.needs for proxy in proxies))
    measured: dict[Need, Any] = {}
    failure: Exception | None = None
    lacking = {need: shared_pass.lacking(inputs, need) for need in asked}
    needs = frozenset(need for need, reason in lacking.items() if reason is None)
    verified, chunks = needs, 1
    started = perf_counter()
    try:
        names = ", ".join(proxy.info.name for proxy in proxies)
        with time_limit(timeout and timeout * len(proxies), f"{type(shared_pass).__name__} ({names})"):
            with reproducible(inputs):
                verified = verified_needs(shared_pass, inputs, needs)
            chunks = _measure(shared_pass, inputs, verified, measured) if verified else 1
    except Exception as error:
        failure = error
    if chunks == 0 and len(verified) > 1:
        return _run_pass_by_need(shared_pass, inputs, proxies, timeout)
    if chunks == 0:
        failure = MemoryError(f"{type(shared_pass).__name__} needs more than there is")
    share = (perf_counter() - started) / len(proxies)
    measured = {need: lacking[need] or measured.get(need, failure) for need in asked - needs | verified}
    note = CHUNKED_NOTE.format(chunks) if chunks > 1 else None
    scores = {
        proxy.info.name: compute_score(proxy, measured, share, note, timeout)
        for proxy in proxies
        if proxy.info.needs <= measured.keys()
    }
    others = [proxy for proxy in proxies if not proxy.info.needs <= measured.keys()]
    for name, result in _run_pass_by_need(EXACT_PASS, inputs, others, timeout).items():
        note = EXACT_ENGINE_NOTE if result.status == "ok" else result.note
        scores[name] = replace(result, seconds=result.seconds + share, note=note)
    return scores


def _run_pass_by_need(
    shared_pass: Pass, inputs: ProxyInput, proxies: Sequence[Proxy], timeout: float | None
) -> dict[str, Score]:
    """Run a pass once for each distinct set of needs."""
    scores: dict[str, Score] = {}
    for needs in dict.fromkeys(proxy.info.needs for proxy in proxies):
        scores |= run_pass(shared_pass, inputs, [proxy for proxy in proxies if proxy.info.needs == needs], timeout)
    return scores


def _measure(shared_pass: Pass, inputs: ProxyInput, needs: frozenset[Need], measured: dict[Need, Any]) -> int:
    """Fill `measured`, a single need in chunks where necessary.

    Returns:
        The number of chunks; 0 if memory did not suffice.
    """
    samples = size = len(inputs.batch.y)
    chunks = 1
    while not _fits_memory(shared_pass, inputs, needs, chunks, measured):
        if not shared_pass.chunkable or not inputs.batch.has_samples or len(needs) > 1 or size == 1:
            return 0
        size = (size + 1) // 2
        chunks = -(-samples // size)
    return chunks


def _fits_memory(
    shared_pass: Pass, inputs: ProxyInput, needs: frozenset[Need], chunks: int, measured: dict[Need, Any]
) -> bool:
    """Fill `measured`; return False if memory ran out, with no reference left to the errors, which hold memory."""
    try:
        with reproducible(inputs):
            measured.update(shared_pass.run(inputs, needs, chunks))
            if inputs.x.device.type == "cuda":
                torch.cuda.synchronize(inputs.x.device)  # else the time would count for a later pass
        for value in measured.values():
            if isinstance(value, Exception) and is_out_of_memory(value):
                raise value
        return True
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        log.warning(
            "%s in %d chunks ran out of memory: %s", type(shared_pass).__name__, chunks, str(error)
        )  # no traceback
    measured.clear()
    return False


@contextmanager
def reproducible(inputs: ProxyInput) -> Iterator[None]:
    """Make a computation reproducible: no TF32, deterministic convolutions, no dropout, seeded random modules.

    The global random state and PyTorch's settings are restored afterwards, and held by one thread at a time.
    """
    device, seed = inputs.x.device, inputs.seed
    dropout = nullcontext() if inputs.supports_tape else WithoutDropout()  # which the class states to have none of
    cuda = [device] if device.type == "cuda" else []
    with _rng_lock, torch.random.fork_rng(cuda), _seeded_python(seed), dropout:
        torch.default_generator.manual_seed(seed)
        if device.type != "cuda":
            yield
            return
        with torch.cuda.device(device), _full_precision():
            torch.cuda.manual_seed(seed)
            yield


@contextmanager
def _seeded_python(seed: int) -> Iterator[None]:
    """Seed Python's and NumPy's global generators, which stochastic-depth networks use, and restore them."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


@contextmanager
def _full_precision() -> Iterator[None]:
    """Run convolutions and matrix products of a GPU in full float32, convolutions by a deterministic algorithm."""
    before = _precision()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        legacy: str | None = torch.get_float32_matmul_precision()
    except RuntimeError:  # the caller's newer setting has no legacy equivalent
        legacy = None
    try:
        if legacy is not None:
            torch.set_float32_matmul_precision("highest")
        _set_precision("ieee", "ieee", True, False)
        torch.use_deterministic_algorithms(True, warn_only=True)  # sums over the links of a graph
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        if legacy is not None:
            torch.set_float32_matmul_precision(legacy)
        _set_precision(*before)


def _precision() -> tuple[str, str, bool, bool]:
    cudnn: Any = torch.backends.cudnn
    return cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision, cudnn.deterministic, cudnn.benchmark


def _set_precision(convolutions: str, products: str, deterministic: bool, benchmark: bool) -> None:
    cudnn: Any = torch.backends.cudnn
    cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision = convolutions, products
    cudnn.deterministic, cudnn.benchmark = deterministic, benchmark


def compute_score(proxy: Proxy, measured: Measured, share: float, note: str | None, timeout: float | None) -> Score:
    """Apply the formula; the value of a need that could not be measured is the exception with the reason."""
    started = perf_counter()
    try:
        for need in proxy.info.needs:
            if isinstance(measured[need], Exception):
                raise measured[need]
        with time_limit(timeout, proxy.info.name):
            value, logarithm = proxy.score(measured)
    except Exception as error:
        return _without_score(error, share + perf_counter() - started)
    return Score(value, logarithm, "ok", share + perf_counter() - started, note=note)


def _without_score(error: Exception, seconds: float) -> Score:
    if isinstance(error, NotApplicableError):
        return Score(None, None, "not_applicable", seconds, note=str(error))
    if not isinstance(error, ArithmeticError):
        log.warning("a proxy failed", exc_info=error)
    kind = "out of memory" if is_out_of_memory(error) else type(error).__name__
    return Score(None, None, "failed", seconds, error=f"{kind}: {str(error).splitlines()[0] if str(error) else kind}")
