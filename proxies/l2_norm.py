"""Norm of the weights."""

import torch
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo, total


class L2Norm(Proxy):
    """Σ ‖W‖_F over every weight, used or not."""

    info = ProxyInfo(
        name="l2_norm",
        needs=frozenset({Need.WEIGHTS}),
        batch_norm=None,
        direction=1,
        cost=0.0,
        source="Abdelfattah et al., ICLR 2021",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        return total(torch.linalg.vector_norm(w, dtype=torch.float64) for w in measured[Need.WEIGHTS])
