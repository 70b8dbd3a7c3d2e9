"""Inverse coefficient of variation of the gradients over minibatches."""

import torch
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
        sums = []
        for gradients in measured[Need.MINIBATCH_GRADIENTS]:
            a, b = gradients.abs().double()
            difference = (a - b).abs_()
            if difference.any():  # also NaN, which thereby becomes a failure
                ratios = (a + b).div_(difference)  # mean and deviation of two numbers are half of the two
                sums.append(ratios.masked_fill_(difference == 0, 0.0).sum())
        if not sums:
            raise ArithmeticError("no gradient differs between the minibatches")
        return float(torch.stack(sums).log().sum())
