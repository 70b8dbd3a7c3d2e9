"""Entropy that the topology keeps and loses."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.topology import UnitTopology
from proxies.base import Measured, Need, Proxy, ProxyInfo

EPSILON = 1e-3
"""Keeps the entropy of an average, which is singular, finite: every joint that it makes alike costs ½·log(1/ε)."""


class Sed(Proxy):
    """Σ of what raises the entropy − Σ of what lowers it − share of the paths through the network that only skip.

    An adaptation to graph networks: no data, no weights. An aggregation changes the entropy of independent joints by
    h = ½·mean over joints v of log det(Σ_v), Σ_v the part of Σ_k P_kᵀP_k + ε·I with v and its neighbours, ε = 1e-3;
    convolution over k frames by ½·log k; stride s by −½·log s; a skip by nothing.
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

    def compute(self, measured: Measured) -> float:
        units = measured[Need.TOPOLOGY]
        changes = [change for unit in units for change in entropy_changes(unit)]
        kept = sum(change for change in changes if change > 0)
        lost = -sum(change for change in changes if change < 0)
        only_skips = math.prod(unit.skips / (unit.skips + len(unit.aggregations)) for unit in units)
        return float(kept - lost - only_skips)


def entropy_changes(unit: UnitTopology) -> list[float]:
    """By how much each part of a unit changes the entropy: its aggregations, kernel and stride."""
    aggregations = [aggregation_entropy(matrices, unit.ball) for matrices in unit.aggregations]
    return [*aggregations, 0.5 * math.log(unit.kernel), -0.5 * math.log(unit.stride)]


def aggregation_entropy(matrices: NDArray[np.floating[Any]], ball: NDArray[np.bool_]) -> float:
    """H of an aggregation. Features are rows, x·P: so joints have the covariance PᵀP, and not P·Pᵀ."""
    identity = np.eye(len(ball))
    covariance = np.einsum("kuv,kuw->vw", matrices, matrices) + EPSILON * identity
    # Outside of the ball stands the identity, which leaves the determinant alone: so all joints go in one array.
    inside = ball[:, :, None] & ball[:, None, :]
    _, log_determinants = np.linalg.slogdet(np.where(inside, covariance, identity))
    return float(0.5 * log_determinants.mean())
