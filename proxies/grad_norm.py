"""Norm of the gradients."""

import torch
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo, total


class GradNorm(Proxy):
    """Σ ‖g‖_F, g = ∂L/∂W."""

    info = ProxyInfo(
        name="grad_norm",
        needs=frozenset({Need.GRADIENTS}),
        batch_norm=True,
        direction=1,
        cost=3.0,
        source="Abdelfattah et al., ICLR 2021",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return total(torch.linalg.vector_norm(g, dtype=torch.float64) for _, g in measured[Need.GRADIENTS])
