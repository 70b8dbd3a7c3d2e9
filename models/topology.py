"""Connectivity of a graph network's units over nodes and time, independent of the weights, for the proxy `sed`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class UnitTopology:
    """Connectivity of a unit: parallel branches over the nodes, then a convolution over time.

    Attributes:
        ball: (V, V), true for pairs of linked or identical nodes.
        aggregations: matrices (K, V, V) of each branch that mixes nodes. Features (…, V) become `x · P_k`, with
            separate weights for each k, and the K results are summed.
        skips: number of branches that do not mix nodes.
        kernel: length of the temporal convolution, in frames; 1 without time.
        stride: stride of the temporal convolution, in frames; 1 without time.
    """

    ball: NDArray[np.bool_]
    aggregations: tuple[NDArray[np.floating[Any]], ...]
    skips: int
    kernel: int = 1
    stride: int = 1
