"""Which engine measures: the fast one, under a tape, where it is shown to be right; the exact one elsewhere."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from proxies.base import Need
from proxies.passes.base import Pass, Probe, attempt, is_out_of_memory
from proxies.passes.exact import MEASUREMENTS, ExactPass

MOST_STRUCTURES = 10_000
TOLERANCE = 1e-4
"""Largest difference between the engines in float64, relative to the largest number of a tensor."""
_shown: dict[tuple[str, Need], bool] = {}
_lock = threading.Lock()


def needs_shown(one_pass: Pass, probe: Probe, needs: frozenset[Need]) -> frozenset[Need]:
    """Those of `needs` that a pass is right for with this network.

    All of them, where the pass is the exact engine's or has no exact counterpart, or where the network's class states
    it (`Probe.taped`). Otherwise both engines measure two samples in float64, once for each structure.
    """
    in_question = needs & frozenset(MEASUREMENTS)
    if probe.taped or not in_question or isinstance(one_pass, ExactPass):
        return needs
    structure = attempt(lambda: probe.structure)
    if isinstance(structure, Exception):  # the exact engine will say it
        return needs - in_question
    return needs - frozenset(need for need in in_question if not _is_shown(structure.key, probe, one_pass, need))


def _is_shown(key: str, probe: Probe, fast: Pass, need: Need) -> bool:
    with _lock:
        known = _shown.get((key, need))
    if known is None:
        known, lasting = _agree(probe.few, fast, need)
        if lasting:
            with _lock:
                if len(_shown) >= MOST_STRUCTURES:
                    _shown.clear()
                _shown[key, need] = known
    return known


def _agree(probe: Probe, fast: Pass, need: Need) -> tuple[bool, bool]:
    """Whether both engines measure the same, and whether this holds for later networks of the same structure.

    A chunkable pass measures sample by sample, too, which shows that it is one. Running out of memory shows nothing.
    """
    exact = attempt(lambda: MEASUREMENTS[need](probe))
    if isinstance(exact, Exception):
        return False, not is_out_of_memory(exact)
    for chunks in (1, len(probe.y)) if fast.chunkable else (1,):
        ours = attempt(lambda chunks=chunks: dict(fast.run(probe, frozenset({need}), chunks))[need])  # type: ignore[misc]
        if isinstance(ours, Exception):
            return False, not is_out_of_memory(ours)
        if not _same(list(_tensors(exact)), list(_tensors(ours))):
            return False, True
    return True, True


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
