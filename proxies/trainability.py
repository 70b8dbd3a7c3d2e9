"""Isometry of the units' gradients."""

import numpy as np
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.spectrum import squared_singular_values

EPSILON = 1e-6


class Trainability(Proxy):
    """Mean over the units after the first of 2 − σ − 1/(σ + 1e-6), σ the largest singular value of a unit's Jacobian.

    The Jacobian is the mean over positions of g'ᵀ·g: g random signs on the unit's output, g' their gradient at its
    input. The largest value, of σ = 1, is about 0.
    """

    info = ProxyInfo(
        name="trainability",
        needs=frozenset({Need.UNIT_JACOBIANS}),
        batch_norm=True,
        direction=1,
        cost=2.0,
        source="Lee & Ham, CVPR 2024 (AZ-NAS)",
        default=False,
    )

    @override
    def compute(self, measured: Measured) -> float:
        jacobians = measured[Need.UNIT_JACOBIANS]
        sigmas = [float(squared_singular_values(jacobian)[-1]) ** 0.5 for jacobian in jacobians]
        return float(np.mean([2 - sigma - 1 / (sigma + EPSILON) for sigma in sigmas]))
