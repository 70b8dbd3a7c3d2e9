"""Choice of engine: the fast one, under a tape, where it is verified; the exact one elsewhere."""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, attempt, is_out_of_memory
from proxies.passes.exact import MEASUREMENTS, ExactPass

MAX_CACHED_VERDICTS = 10_000
NUM_LABELS = 4, 2
"""Numbers of labels in the batch that both engines measure; the second where memory does not suffice for the first."""
NUM_TRIALS = 3
"""Comparisons of the engines for each structure of a network, each with other parameters."""
MAX_DIFFERENCE = 1e-4
"""Largest difference between the engines in float64, relative to the largest number of a tensor."""
_verified: dict[tuple[str, Need], bool] = {}
_lock = threading.Lock()


def verified_needs(shared_pass: Pass, inputs: ProxyInput, needs: frozenset[Need]) -> frozenset[Need]:
    """Return the part of `needs` for which a pass is verified on this network.

    These are all needs if the pass is the exact engine's or has no exact counterpart, or if the network's class states
    it (`ProxyInput.supports_tape`). Otherwise both engines measure a few samples in float64, with noise in the
    parameters, once for each structure.
    """
    in_question = needs & frozenset(MEASUREMENTS)
    if inputs.supports_tape or not in_question or isinstance(shared_pass, ExactPass):
        return needs
    trace = attempt(lambda: inputs.forward_trace)
    if isinstance(trace, Exception) or not inputs.has_static_graph:  # the exact engine reports the error
        return needs - in_question
    return needs - frozenset(need for need in in_question if not _is_verified(trace.key, inputs, shared_pass, need))


def _is_verified(key: str, inputs: ProxyInput, fast: Pass, need: Need) -> bool:
    with _lock:
        known = _verified.get((key, need))
    if known is None:
        known = _compare(inputs, fast, need)
        if known is not None:
            with _lock:
                if len(_verified) >= MAX_CACHED_VERDICTS:
                    _verified.clear()
                _verified[key, need] = known
    return bool(known)


def _compare(inputs: ProxyInput, fast: Pass, need: Need) -> bool | None:
    """Compare the engines with several samples of the parameters; None where that is inconclusive."""
    for labels in NUM_LABELS:
        verdicts = attempt(partial(_trials, inputs, labels, fast, need))
        if not isinstance(verdicts, Exception):
            return None if None in verdicts else all(verdicts)
    return None


def _trials(inputs: ProxyInput, labels: int, fast: Pass, need: Need) -> list[bool | None]:
    return [_agree(inputs.subsample(labels, seed), fast, need) for seed in range(NUM_TRIALS)]


def _agree(inputs: ProxyInput, fast: Pass, need: Need) -> bool | None:
    """Compare the engines; None, inconclusive, where one fails or a tensor is 0.

    A chunkable pass measures sample by sample, too, which verifies that it is chunkable. Raises errors of a lack of
    memory.
    """
    exact = _attempt_in_memory(lambda: MEASUREMENTS[need](inputs))
    if isinstance(exact, Exception) or any(tensor.numel() and not tensor.any() for tensor in _tensors(exact)):
        return None
    for chunks in (1, len(inputs.batch.y)) if fast.chunkable and inputs.batch.has_samples else (1,):
        fast_value = _attempt_in_memory(lambda chunks=chunks: dict(fast.run(inputs, frozenset({need}), chunks))[need])  # type: ignore[misc]
        if isinstance(fast_value, Exception):
            return None
        if not _all_close(list(_tensors(exact)), list(_tensors(fast_value))):
            return False
    return True


def _attempt_in_memory(measure: Callable[[], Any]) -> Any:
    value = attempt(measure)
    if isinstance(value, Exception) and is_out_of_memory(value):
        raise value
    return value


def _all_close(exact: Sequence[Tensor], fast: Sequence[Tensor]) -> bool:
    return len(exact) == len(fast) and all(map(_close, exact, fast))


def _tensors(measured: Any) -> Iterator[Tensor]:
    """Yield every tensor and number in a measurement."""
    if isinstance(measured, Tensor):
        yield measured.double()
    elif isinstance(measured, Sequence):
        for part in measured:
            yield from _tensors(part)
    else:
        yield torch.tensor(measured, dtype=torch.float64)


def _close(exact: Tensor, fast: Tensor) -> bool:
    if exact.shape != fast.shape or exact.numel() == 0:
        return exact.shape == fast.shape
    return bool((exact - fast).abs().max() <= MAX_DIFFERENCE * exact.abs().max())
