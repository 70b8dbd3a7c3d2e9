"""The choice of engine: the fast one, under a tape, where it is shown to be right; the exact one elsewhere."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from proxies.base import Need
from proxies.passes.base import Pass, ProxyInput, attempt, is_out_of_memory
from proxies.passes.exact import MEASUREMENTS, ExactPass

MOST_STRUCTURES = 10_000
SAMPLES = 4, 2
"""Samples that both engines measure: the fewer where memory runs out."""
TRIALS = 3
"""Comparisons of both engines for a structure, each with other parameters."""
TOLERANCE = 1e-4
"""Largest difference between the engines in float64, relative to the largest number of a tensor."""
_shown: dict[tuple[str, Need], bool] = {}
_lock = threading.Lock()


def needs_shown(one_pass: Pass, probe: ProxyInput, needs: frozenset[Need]) -> frozenset[Need]:
    """The part of `needs` that a pass measures rightly for this network.

    All of them, where the pass is the exact engine's or has no exact counterpart, or where the network's class states
    it (`Probe.taped`). Otherwise both engines measure a few samples in float64, with parameters drawn for that, once
    for each structure.
    """
    in_question = needs & frozenset(MEASUREMENTS)
    if probe.taped or not in_question or isinstance(one_pass, ExactPass):
        return needs
    structure = attempt(lambda: probe.structure)
    if isinstance(structure, Exception) or not probe.steady:  # what is raised, the exact engine will say
        return needs - in_question
    return needs - frozenset(need for need in in_question if not _is_shown(structure.key, probe, one_pass, need))


def _is_shown(key: str, probe: ProxyInput, fast: Pass, need: Need) -> bool:
    with _lock:
        known = _shown.get((key, need))
    if known is None:
        known = _compare(probe, fast, need)
        if known is not None:
            with _lock:
                if len(_shown) >= MOST_STRUCTURES:
                    _shown.clear()
                _shown[key, need] = known
    return bool(known)


def _compare(probe: ProxyInput, fast: Pass, need: Need) -> bool | None:
    """Compare the engines on several draws of the parameters; None where that shows nothing."""
    for samples in SAMPLES:
        verdicts = attempt(lambda n=samples: [_agree(probe.few(n, seed), fast, need) for seed in range(TRIALS)])  # type: ignore[misc]
        if not isinstance(verdicts, Exception):
            return None if None in verdicts else all(verdicts)
    return None


def _agree(probe: ProxyInput, fast: Pass, need: Need) -> bool | None:
    """Compare the engines; None where one fails, or where a tensor is 0, which shows nothing.

    A chunkable pass measures sample by sample, too, which shows that it is chunkable. Raises what ran out of memory.
    """
    exact = _attempt_in_memory(lambda: MEASUREMENTS[need](probe))
    if isinstance(exact, Exception) or any(tensor.numel() and not tensor.any() for tensor in _tensors(exact)):
        return None
    for chunks in (1, len(probe.y)) if fast.chunkable else (1,):
        ours = _attempt_in_memory(lambda chunks=chunks: dict(fast.run(probe, frozenset({need}), chunks))[need])  # type: ignore[misc]
        if isinstance(ours, Exception):
            return None
        if not _same(list(_tensors(exact)), list(_tensors(ours))):
            return False
    return True


def _attempt_in_memory(measure: Callable[[], Any]) -> Any:
    found = attempt(measure)
    if isinstance(found, Exception) and is_out_of_memory(found):
        raise found
    return found


def _same(exact: Sequence[Tensor], ours: Sequence[Tensor]) -> bool:
    return len(exact) == len(ours) and all(map(_close, exact, ours))


def _tensors(measured: Any) -> Iterator[Tensor]:
    """Every tensor and number in a measurement."""
    if isinstance(measured, Tensor):
        yield measured.double()
    elif isinstance(measured, Sequence):
        for part in measured:
            yield from _tensors(part)
    else:
        yield torch.tensor(measured, dtype=torch.float64)


def _close(exact: Tensor, ours: Tensor) -> bool:
    if exact.shape != ours.shape or exact.numel() == 0:
        return exact.shape == ours.shape
    return bool((exact - ours).abs().max() <= TOLERANCE * exact.abs().max())
