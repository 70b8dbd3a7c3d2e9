"""What a graph network's units do to joints and frames, whatever their weights: for proxies that look at it alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class UnitTopology:
    """One unit: parallel branches over the joints, then a convolution over time.

    Attributes:
        ball: (V, V), true where two joints are linked or the same.
        aggregations: each branch that mixes joints, as its (K, V, V) matrices. Features (…, V) go to `x · P_k`, each of
            them with weights of its own, and the K results are summed.
        skips: number of branches that mix no joints.
        kernel: length of the convolution over time, in frames.
        stride: its stride.
    """

    ball: NDArray[np.bool_]
    aggregations: tuple[NDArray[np.floating[Any]], ...]
    skips: int
    kernel: int
    stride: int
