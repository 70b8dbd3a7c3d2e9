"""Overlap of the ReLU activation patterns."""

import torch
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo

EPSILON = 1e-6


class Nwot(Proxy):
    """log det(K + 1e-6·I), K = Σ over ReLUs of a·aᵀ + (1 − a)·(1 − a)ᵀ, a = (ReLU input > 0), rows flattened."""

    info = ProxyInfo(
        name="nwot",
        needs=frozenset({Need.RELU_INPUTS}),
        batch_norm=True,
        direction=1,
        cost=1.0,
        source="Mellor et al., ICML 2021, eq. 2",
    )

    @override
    def compute(self, measured: Measured) -> float:
        if len({len(tensor) for tensor in measured[Need.RELU_INPUTS]}) > 1:
            raise ArithmeticError("not all ReLUs see the same number of rows")
        kernel = torch.stack([_agreement(tensor) for tensor in measured[Need.RELU_INPUTS]]).sum(0).cpu()
        kernel.diagonal().add_(EPSILON)
        sign, value = torch.linalg.slogdet(kernel)
        if sign <= 0:
            raise ArithmeticError("the kernel is not positive definite")
        return float(value)


def _agreement(tensor: torch.Tensor) -> torch.Tensor:
    """Count the units in which two rows agree, for every pair of rows: (rows, rows)."""
    active = (tensor.reshape(len(tensor), -1) > 0).float()
    both_active, num_active = active @ active.T, active.sum(1)
    both_idle = active.shape[1] - num_active[:, None] - num_active + both_active
    return (both_active + both_idle).double()
