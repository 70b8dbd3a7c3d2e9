"""Structural features of a `gcn-nas` architecture: what its mask says before anything is computed.

The names tell the groups: `depth=6` (one-hot), `slot9.L2` (mask by backbone slot, 0 where the slot is absent),
`stage3.S` (mean over the stage's layers), `slot9.fixed=3` (one-hot number of fixed-graph modules, none set where the
slot is absent), `slot9.subset1.spectral` (norms of the slot's summed polynomials), `fixed.slot9` and `dynamic.slot9`
(number of fixed-graph and attention modules, -1 where the slot is absent, which lets a tree split on them at once),
`network.S` and `network.fixed.…` (over all layers, and from layer to layer).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.gcn_nas.architecture import DEPTHS, FIXED_MODULES, MODULES, GcnNasArchitecture, Row
from models.gcn_nas.network import BACKBONE, SUBSETS, fixed_graph
from models.skeletons import Skeleton

STAGES = {1: (1, 2, 3, 4), 2: (5, 6, 7), 3: (8, 9, 10)}
"""Slots that share a width: 64, 128 and 256 channels."""


def features(arch: GcnNasArchitecture, skeleton: Skeleton) -> dict[str, float]:
    """Named features, the same names in the same order for every architecture."""
    rows = dict(zip(arch.slots, arch.mask, strict=True))
    values: dict[str, float] = {"depth": arch.depth}
    for depth in DEPTHS:
        values[f"depth={depth}"] = float(arch.depth == depth)
    for slot in BACKBONE:
        row = rows.get(slot, (False,) * len(MODULES))
        for name, present in zip(MODULES, row, strict=True):
            values[f"slot{slot}.{name}"] = float(present)
    for stage, slots in STAGES.items():
        present_rows = np.array([rows[slot] for slot in slots if slot in rows], dtype=float)
        for name, mean in zip(MODULES, present_rows.mean(axis=0), strict=True):
            values[f"stage{stage}.{name}"] = float(mean)
    for slot in BACKBONE:
        count = sum(rows[slot][: len(FIXED_MODULES)]) if slot in rows else None
        for number in range(len(FIXED_MODULES) + 1):
            values[f"slot{slot}.fixed={number}"] = float(count == number)
    for slot in BACKBONE:
        norms = _graph_norms(skeleton, rows[slot][: len(FIXED_MODULES)]) if slot in rows else (0.0,) * (3 * SUBSETS)
        for i in range(SUBSETS):
            for kind, value in zip(("frobenius", "spectral", "trace"), norms[3 * i : 3 * i + 3], strict=True):
                values[f"slot{slot}.subset{i}.{kind}"] = value
    return values | _counts(arch)


def _counts(arch: GcnNasArchitecture) -> dict[str, float]:
    """Numbers of modules, by slot and over the whole network."""
    mask = np.array(arch.mask, dtype=float)
    fixed, dynamic = mask[:, : len(FIXED_MODULES)].sum(axis=1), mask[:, len(FIXED_MODULES) :].sum(axis=1)
    values = {
        f"{kind}.slot{slot}": float(numbers[arch.slots.index(slot)]) if slot in arch.slots else -1.0
        for slot in BACKBONE
        for kind, numbers in (("fixed", fixed), ("dynamic", dynamic))
    }
    values |= {f"network.{name}": float(mean) for name, mean in zip(MODULES, mask.mean(axis=0), strict=True)}
    values |= {
        "network.fixed.mean": float(fixed.mean()),
        "network.fixed.min": float(fixed.min()),
        "network.fixed.max": float(fixed.max()),
        "network.fixed.variance": float(fixed.var()),
        "network.fixed.none": float((fixed == 0).mean()),
        "network.fixed.first2": float(fixed[:2].mean()),
        "network.fixed.last2": float(fixed[-2:].mean()),
        "network.fixed.last3": float(fixed[-3:].mean()),
        "network.dynamic.mean": float(dynamic.mean()),
    }
    return values | _interplay(arch, mask, fixed, dynamic)


def _interplay(
    arch: GcnNasArchitecture, mask: NDArray[np.float64], fixed: NDArray[np.float64], dynamic: NDArray[np.float64]
) -> dict[str, float]:
    """How the numbers of modules go together, from layer to layer and inside a stage."""
    position = np.arange(len(fixed)) - (len(fixed) - 1) / 2
    values = {
        "network.fixed.change": float(np.abs(np.diff(fixed)).mean()),
        "network.fixed.neighbours": float((fixed[1:] * fixed[:-1]).mean()),
        "network.fixed.slope": float(position @ fixed / (position @ position)),
        "network.fixed.dynamic": float((fixed * dynamic).mean()),
        "network.fixed.few": float((fixed <= 1).mean()),
        "network.fixed.many": float((fixed >= 4).mean()),
        "network.fixed.last2_min": float(fixed[-2:].min()),
        "network.fixed.last4_min": float(fixed[-4:].min()),
    }
    both = (mask[1:] * mask[:-1]).mean(axis=0)
    values |= {f"network.{name}.neighbours": float(share) for name, share in zip(MODULES, both, strict=True)}
    for stage, slots in STAGES.items():
        rows = [i for i, slot in enumerate(arch.slots) if slot in slots]
        values |= {
            f"stage{stage}.fixed.mean": float(fixed[rows].mean()),
            f"stage{stage}.fixed.min": float(fixed[rows].min()),
            f"stage{stage}.fixed.max": float(fixed[rows].max()),
            f"stage{stage}.dynamic.mean": float(dynamic[rows].mean()),
        }
    return values


@lru_cache(maxsize=256)
def _graph_norms(skeleton: Skeleton, fixed: Row) -> tuple[float, ...]:
    """Frobenius norm, spectral norm and trace of each subset's summed polynomials: 32 possible rows, so cached."""
    norms: list[float] = []
    for matrix in fixed_graph(skeleton, fixed):
        norms += map(float, (np.linalg.norm(matrix), np.linalg.norm(matrix, 2), np.trace(matrix)))
    return tuple(norms)
