"""Covariance of the input Jacobian."""

import torch
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo
from proxies.correlation import correlation

EPSILON = 1e-5


class Jacov(Proxy):
    """−Σ_i [log(v_i + 1e-5) + 1/(v_i + 1e-5)], v the eigenvalues of the correlation of the rows of ∂(Σ logits)/∂x."""

    info = ProxyInfo(
        name="jacov",
        needs=frozenset({Need.INPUT_GRADIENT}),
        batch_norm=True,
        direction=1,
        cost=2.0,
        source="Mellor et al. 2020, first version, eq. 2 to 4",
    )

    @override
    def compute(self, measured: Measured) -> float:
        shifted = torch.linalg.eigvalsh(correlation(measured[Need.INPUT_GRADIENT])) + EPSILON
        return -float((shifted.log() + 1 / shifted).sum())
