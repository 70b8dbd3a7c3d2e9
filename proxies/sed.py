"""Suppression of entropy decrease, from the topology alone."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from models.topology import UnitTopology
from proxies.base import Measured, Need, Proxy, ProxyInfo

EPSILON = 1e-3
"""ε, which keeps the entropy of an average, a singular map, finite: each node made equal costs ½·log(1/ε)."""


class Sed(Proxy):
    """Σ of increases of entropy − Σ of decreases − share of the paths through the network that only skip.

    An adaptation to graph networks, without data and weights. An aggregation changes the entropy of independent nodes
    by h = ½·mean over nodes v of log det(Σ_v), Σ_v the block of Σ_k P_kᵀP_k + ε·I of v and its neighbours, ε = 1e-3;
    convolution over k positions by ½·log k; stride s by −½·log s; a skip by 0.
    """

    info = ProxyInfo(
        name="sed",
        needs=frozenset({Need.TOPOLOGY}),
        batch_norm=None,
        direction=1,
        cost=0.1,
        source="after Wu et al. 2024, arXiv 2411.06236; adapted to graph networks",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        units = measured[Need.TOPOLOGY]
        changes = [change for unit in units for change in entropy_changes(unit)]
        kept = sum(change for change in changes if change > 0)
        lost = -sum(change for change in changes if change < 0)
        only_skips = math.prod(unit.skips / (unit.skips + len(unit.aggregations)) for unit in units)
        return float(kept - lost - only_skips)


def entropy_changes(unit: UnitTopology) -> list[float]:
    """Return the change of entropy by each aggregation of a unit, its kernel and its stride."""
    aggregations = [aggregation_entropy(matrices, unit.ball) for matrices in unit.aggregations]
    return [*aggregations, 0.5 * math.log(unit.kernel), -0.5 * math.log(unit.stride)]


def aggregation_entropy(matrices: NDArray[np.floating[Any]], ball: NDArray[np.bool_]) -> float:
    """Return h of an aggregation.

    Features are rows, x·P, so that nodes have the covariance PᵀP, not P·Pᵀ.

    Args:
        matrices: P_k, (K, V, V).
        ball: (V, V), True for a node and its neighbours.
    """
    identity = np.eye(len(ball))
    covariance = np.einsum("kuv,kuw->vw", matrices, matrices) + EPSILON * identity
    # The identity outside the ball leaves the determinant unchanged, so that all nodes fit in one array.
    inside = ball[:, :, None] & ball[:, None, :]
    _, log_determinants = np.linalg.slogdet(np.where(inside, covariance, identity))
    return float(0.5 * log_determinants.mean())
