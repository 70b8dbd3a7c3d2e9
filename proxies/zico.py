"""Steadiness of the gradients over minibatches."""

import torch

from proxies.base import Measured, Need, Proxy, ProxyInfo


class Zico(Proxy):
    """Σ over layers of log Σ over the entries of W of mean(abs(g))/std(abs(g)), both over the minibatches, g = ∂L/∂W of
    one of them. Left out: entries with std 0, and layers with no other.
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

    def compute(self, measured: Measured) -> float:
        sums = []
        for gradients in measured[Need.MINIBATCH_GRADIENTS]:
            sizes = gradients.double().abs()
            mean = sizes.mean(0)
            deviation = (sizes - mean).square().mean(0).sqrt()  # ten times faster than `std` over two rows
            varies = deviation != 0  # true for NaN, which so becomes a failure
            if varies.any():
                sums.append(torch.where(varies, mean / deviation, 0.0).sum())
        if not sums:
            raise ArithmeticError("no gradient differs between the minibatches")
        return float(torch.stack(sums).log().sum())
