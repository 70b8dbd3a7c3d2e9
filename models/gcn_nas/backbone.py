"""Backbone of `gcn-nas` networks: ten slots, and the graphs of the fixed-graph modules."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.gcn_nas.architecture import FIXED_MODULES
from models.gcn_nas.skeletons import Skeleton

SUBSETS = 3
"""Spatial partitions of the adjacency: identity, inward, outward."""
TEMPORAL_KERNEL = 9
COORDINATES = 3


@dataclass(frozen=True)
class Slot:
    """Slot of the backbone.

    Attributes:
        channels_in: input channels.
        channels_out: output channels.
        stride: temporal stride.
    """

    channels_in: int
    channels_out: int
    stride: int = 1


BACKBONE: dict[int, Slot] = {
    1: Slot(COORDINATES, 64),
    2: Slot(64, 64),
    3: Slot(64, 64),
    4: Slot(64, 64),
    5: Slot(64, 128, 2),
    6: Slot(128, 128),
    7: Slot(128, 128),
    8: Slot(128, 256, 2),
    9: Slot(256, 256),
    10: Slot(256, 256),
}
WIDTH = 256
FEATURE_SLOT = 9
"""Last slot that every depth uses; zen scores its output."""


def polynomials(adjacency: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Matrices of each fixed-graph module, (3, V, V). Powers are elementwise, as in the public implementation."""
    a = adjacency.astype(np.float64)
    identity = np.eye(a.shape[-1])
    fourth = 8 * a**4 - 8 * a**2 + identity
    exponent = np.exp((fourth - fourth.max()) / a.shape[-1])
    return {
        "L": a,
        "L4n": exponent / exponent.sum(axis=-2, keepdims=True),
        "L4": fourth,
        "L3": 4 * a**3 - 3 * a,
        "L2": 2 * a**2 - identity,
    }


def fixed_graph(skeleton: Skeleton, row: Sequence[bool]) -> NDArray[np.float64]:
    """Sum of the polynomials of a layer's fixed-graph modules, (3, V, V); zeros if it has none."""
    total = np.zeros((SUBSETS, skeleton.joints, skeleton.joints))
    terms = polynomials(skeleton.adjacency())
    for name, present in zip(FIXED_MODULES, row, strict=False):
        if present:
            total += terms[name]
    return total
