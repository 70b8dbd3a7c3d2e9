"""Inverse coefficient of variation of the gradients over minibatches."""

import torch
from torch import Tensor
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Zico(Proxy):
    """Σ over layers of log Σ over the entries of W of mean(abs(g))/std(abs(g)), g = ∂L/∂W of a minibatch.

    Mean and (population) standard deviation are over the two minibatches. Entries with standard deviation 0 are left
    out, as are layers that have no other entries.
    """

    info = ProxyInfo(
        name="zico",
        needs=frozenset({Need.MINIBATCH_GRADIENTS}),
        batch_norm=True,
        direction=1,
        cost=3.0,
        source="Li et al., ICLR 2023",
        additive=True,
    )

    @override
    def compute(self, measured: Measured) -> float:
        sums = torch.stack([_sum_of_ratios(gradients) for gradients in measured[Need.MINIBATCH_GRADIENTS]])
        sums = sums[sums != 0]  # NaN stays, and becomes a failure
        if not len(sums):
            raise ArithmeticError("no gradient differs between the minibatches")
        return float(sums.log().sum())


def _sum_of_ratios(gradients: Tensor) -> Tensor:
    """Return Σ mean/deviation over the entries that differ, of (2, …): half of both cancels. 0 if none does."""
    a, b = gradients.abs().double()
    difference = (a - b).abs_()
    ratios: Tensor = (a + b).div_(difference)
    return ratios.masked_fill_(difference == 0, 0.0).sum()
