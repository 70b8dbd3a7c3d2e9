"""Inverse coefficient of variation of the gradients over minibatches."""

import torch
from typing_extensions import override

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Zico(Proxy):
    """Σ over layers of log Σ over the entries of W of mean(abs(g))/std(abs(g)), g = ∂L/∂W of a minibatch.

    Mean and (population) standard deviation are over the minibatches. Entries with standard deviation 0 are left out,
    as are layers that have no other entries.
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
            sizes = gradients.abs()
            varies = (sizes != sizes[0]).any(0)  # True for NaN, which thereby becomes a failure
            if not varies.all():
                sizes = sizes[:, varies]
            if sizes.numel():
                sizes = sizes.double()
                mean = sizes.mean(0)
                deviation = (sizes - mean).square().mean(0).sqrt()  # ten times faster than `std` over two rows
                sums.append((mean / deviation).sum())
        if not sums:
            raise ArithmeticError("no gradient differs between the minibatches")
        return float(torch.stack(sums).log().sum())
