"""Structural features of a `gcn-nas` architecture, computed from its mask.

Names by group: `depth=6` (one-hot), `slot9.L2` (mask by backbone slot, 0 where the slot is absent),
`stage3.S` (mean over the stage's layers), `slot9.fixed=3` (one-hot number of fixed-graph modules, none set where the
slot is absent), `slot9.subset1.spectral` (norms of the slot's summed polynomials), `fixed.slot9` and `dynamic.slot9`
(number of fixed-graph and attention modules, -1 where the slot is absent, so that one split of a tree separates them),
`network.S` and `network.fixed.…` (over all layers, and between adjacent layers).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.gcn_nas.architecture import DEPTHS, FIXED_MODULES, MODULES, SLOTS, GcnNasArchitecture
from models.gcn_nas.backbone import BACKBONE, SUBSETS, fixed_graph
from models.gcn_nas.skeletons import Skeleton

Array = NDArray[np.float64]
STAGES = {1: (1, 2, 3, 4), 2: (5, 6, 7), 3: (8, 9, 10)}
"""Slots by stage; a stage has one width: 64, 128 or 256 channels."""
NUM_FIXED = len(FIXED_MODULES)
BITS = 1 << np.arange(NUM_FIXED)
NORMS = ("frobenius", "spectral", "trace")

FEATURE_NAMES: tuple[str, ...] = (
    "depth",
    *(f"depth={depth}" for depth in DEPTHS),
    *(f"slot{slot}.{name}" for slot in BACKBONE for name in MODULES),
    *(f"stage{stage}.{name}" for stage in STAGES for name in MODULES),
    *(f"slot{slot}.fixed={number}" for slot in BACKBONE for number in range(NUM_FIXED + 1)),
    *(f"slot{slot}.subset{i}.{norm}" for slot in BACKBONE for i in range(SUBSETS) for norm in NORMS),
    *(f"{kind}.slot{slot}" for slot in BACKBONE for kind in ("fixed", "dynamic")),
    *(f"network.{name}" for name in MODULES),
    *(f"network.fixed.{kind}" for kind in ("mean", "min", "max", "variance", "none", "first2", "last2", "last3")),
    "network.dynamic.mean",
    *(f"network.fixed.{kind}" for kind in ("change", "neighbours", "slope", "dynamic", "few", "many")),
    *(f"network.fixed.{kind}" for kind in ("last2_min", "last4_min")),
    *(f"network.{name}.neighbours" for name in MODULES),
    *(f"stage{stage}.{kind}" for stage in STAGES for kind in ("fixed.mean", "fixed.min", "fixed.max", "dynamic.mean")),
)


def feature_values(archs: Sequence[GcnNasArchitecture], skeleton: Skeleton) -> Array:
    """Compute the features of m architectures, (m, len(FEATURE_NAMES)), vectorized over those of one depth."""
    values = np.empty((len(archs), len(FEATURE_NAMES)))
    for depth in DEPTHS:
        rows = [i for i, arch in enumerate(archs) if arch.depth == depth]
        if rows:
            mask = np.array([archs[i].mask for i in rows], dtype=np.float64)
            values[rows] = np.hstack(_groups(mask, SLOTS[depth], skeleton))
    return values


def _groups(mask: Array, slots: tuple[int, ...], skeleton: Skeleton) -> list[Array]:
    """Feature groups, each (m, features of the group), in the order of `FEATURE_NAMES`.

    Args:
        mask: masks of one depth as numbers, (m, L, 8).
        slots: backbone slot of each of the L layers.
        skeleton: skeleton of the graph norms.
    """
    fixed, dynamic = mask[:, :, :NUM_FIXED].sum(axis=2), mask[:, :, NUM_FIXED:].sum(axis=2)
    fixed_at, dynamic_at = (_by_slot(numbers, slots, -1.0) for numbers in (fixed, dynamic))
    norms = _graph_norms(skeleton)[(mask[:, :, :NUM_FIXED] @ BITS).astype(np.int64)]
    depth = np.array([[len(slots), *(len(slots) == depth for depth in DEPTHS)]], dtype=np.float64)
    return [
        depth.repeat(len(mask), axis=0),
        _flat(_by_slot(mask, slots, 0.0)),
        *(mask[:, layers].mean(axis=1) for layers in _stages(slots)),
        _flat((fixed_at[:, :, None] == np.arange(NUM_FIXED + 1)).astype(np.float64)),
        _flat(_by_slot(norms, slots, 0.0)),
        _flat(np.stack([fixed_at, dynamic_at], axis=2)),
        mask.mean(axis=1),
        _module_counts(fixed, dynamic),
        (mask[:, 1:] * mask[:, :-1]).mean(axis=1),
        *(_stage_counts(fixed[:, layers], dynamic[:, layers]) for layers in _stages(slots)),
    ]


def _by_slot(values: Array, slots: tuple[int, ...], absent: float) -> Array:
    """Scatter values of layers, (m, L, …), to backbone slots, (m, 10, …)."""
    placed = np.full((len(values), len(BACKBONE), *values.shape[2:]), absent)
    placed[:, np.array(slots) - 1] = values
    return placed


def _flat(values: Array) -> Array:
    return values.reshape(len(values), -1)


@lru_cache
def _stages(slots: tuple[int, ...]) -> tuple[slice, ...]:
    """Range of layers of each stage."""
    layers = ([i for i, slot in enumerate(slots) if slot in stage] for stage in STAGES.values())
    return tuple(slice(stage[0], stage[-1] + 1) for stage in layers)


def _module_counts(fixed: Array, dynamic: Array) -> Array:
    """Statistics of the numbers of modules, (m, L), over all layers and between adjacent layers, (m, features)."""
    # Sums are of whole numbers or halves and therefore exact: no row depends on the others, not even in the last bit.
    layers = fixed.shape[1]
    position = np.arange(layers) - (layers - 1) / 2
    columns = (
        fixed.mean(axis=1),
        fixed.min(axis=1),
        fixed.max(axis=1),
        (layers * (fixed**2).sum(axis=1) - fixed.sum(axis=1) ** 2) / layers**2,
        (fixed == 0).mean(axis=1),
        fixed[:, :2].mean(axis=1),
        fixed[:, -2:].mean(axis=1),
        fixed[:, -3:].mean(axis=1),
        dynamic.mean(axis=1),
        np.abs(np.diff(fixed, axis=1)).mean(axis=1),
        (fixed[:, 1:] * fixed[:, :-1]).mean(axis=1),
        fixed @ position / (position @ position),
        (fixed * dynamic).mean(axis=1),
        (fixed <= 1).mean(axis=1),
        (fixed >= 4).mean(axis=1),
        fixed[:, -2:].min(axis=1),
        fixed[:, -4:].min(axis=1),
    )
    return np.stack(columns, axis=1)


def _stage_counts(fixed: Array, dynamic: Array) -> Array:
    """Statistics of the numbers of modules in a stage, (m, layers of the stage), as (m, 4)."""
    return np.stack([fixed.mean(axis=1), fixed.min(axis=1), fixed.max(axis=1), dynamic.mean(axis=1)], axis=1)


@lru_cache(maxsize=16)
def _graph_norms(skeleton: Skeleton) -> Array:
    """Frobenius norm, spectral norm and trace of each subset's summed polynomials, (32, 9).

    Bit i of the row index selects `FIXED_MODULES[i]`.
    """
    selected = ((np.arange(2**NUM_FIXED)[:, None] & BITS) > 0).tolist()
    return np.array([[norm for matrix in fixed_graph(skeleton, row) for norm in _norms(matrix)] for row in selected])


def _norms(matrix: Array) -> tuple[float, ...]:
    return float(np.linalg.norm(matrix)), float(np.linalg.norm(matrix, 2)), float(np.trace(matrix))
