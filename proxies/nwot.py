"""Overlap of the ReLU patterns."""

import torch

from proxies.base import Measured, Need, Proxy, ProxyInfo

EPSILON = 1e-6


class Nwot(Proxy):
    """log det(K + 1e-6·I), K = Σ over ReLUs of (a aᵀ + (1 − a)(1 − a)ᵀ), a = (ReLU input > 0), rows
    flattened.
    """

    info = ProxyInfo(
        name="nwot",
        needs=frozenset({Need.RELU_INPUTS}),
        batch_norm=True,
        direction=1,
        cost=1.0,
        source="Mellor et al., ICML 2021, eq. 2",
    )

    def compute(self, measured: Measured) -> float:
        if len({len(tensor) for tensor in measured[Need.RELU_INPUTS]}) > 1:
            raise ArithmeticError("not all ReLUs see the same number of rows")
        kernel = torch.stack([_agreement(tensor) for tensor in measured[Need.RELU_INPUTS]]).sum(0)
        sign, value = torch.linalg.slogdet(
            kernel + EPSILON * torch.eye(len(kernel), dtype=torch.float64, device=kernel.device)
        )
        if sign <= 0:
            raise ArithmeticError("the kernel is not positive definite")
        return float(value)


def _agreement(tensor: torch.Tensor) -> torch.Tensor:
    """How many units two rows agree in, for every pair of rows: (rows, rows)."""
    active = (tensor.reshape(len(tensor), -1) > 0).float()
    both, own = active @ active.T, active.sum(1)
    idle_too = active.shape[1] - own[:, None] - own + both
    return (both + idle_too).double().cpu()
